"""Stage, one for each model: the protocol's figures, how sure they are, where they come from."""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import Field

from reid.common.files import replacing_folder, write_json
from reid.common.processor import Processor
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import read_subset
from reid.data.protocols import ANY_CAMERA, ANY_CAMERA_FLAG, Protocol, words_for
from reid.evaluation.answers import picture_of_answers
from reid.evaluation.breakdown import (
    LEFT_OUT,
    MOST_CAMERAS_IN_PAIRS,
    WrongFirstAnswers,
    camera_metrics,
    camera_pairs,
    cameras_of,
    first_answers,
    no_camera_pairs,
    per_camera,
    per_camera_pair,
    wrong_first_answers,
)
from reid.evaluation.confidence import Resamples, confidence_intervals
from reid.evaluation.distances import EUCLIDEAN, RERANKED, Distance, DistanceHistograms
from reid.evaluation.figures import FIGURES, OPEN_SET_FPIR, TESTED, at_fpir
from reid.evaluation.large_gallery import LargeGallery, rank_large_gallery
from reid.evaluation.open_set import (
    ErrorCurve,
    Searches,
    SearchRecorder,
    error_curve,
    open_set_metrics,
)
from reid.evaluation.plot_tables import write_plot_table
from reid.evaluation.ranking_file import RankedQueries, write_ranking
from reid.evaluation.reranking import Reranking
from reid.evaluation.reranking_method import reranking_number, words_for_reranking
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import (
    Answers,
    PairSimilarities,
    Ranking,
    Similarities,
    cmc_curve,
    dot_products,
    portable_dot_products,
    rank_with_answers,
    summarise,
)
from stages._params import Seed
from stages._stage import declared, run

logger = logging.getLogger(__name__)

ANSWERS_DRAWN = 10
"""The number of answers to each query in the picture."""
LARGE = 2**30
"""The bytes of a gallery's features from which on they stay on disk while they are ranked."""

Gallery = FeatureSet | LargeGallery


class OptionalReranking(Reranking):
    """Re-ranking, or none."""

    use: bool

    @property
    def number(self) -> int:
        """The number that stands for the way to re-rank in the metrics; 0 is none."""
        return reranking_number(self.method) if self.use else 0

    @property
    def distance(self) -> Distance:
        """The distance of the similarities that queries are ranked by."""
        # An expanded query is an embedding of length 1, too.
        is_cosine = not self.use or self.method == "query_expansion"
        return EUCLIDEAN if is_cosine else RERANKED


class Evaluate(Settings):
    """The parameters of ranking, of intervals and of the picture."""

    protocol: Protocol
    reranking: OptionalReranking
    resamples: Resamples
    max_rank: int = Field(ge=1)
    picture_queries: int = Field(ge=1)


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    seed: Seed
    processor: Processor
    evaluate: Evaluate

    @property
    def similarities(self) -> Similarities:
        """The function that computes similarities of embeddings."""
        return portable_dot_products if self.processor == "any" else dot_products


def feature_set(features: Path, subset: str, rows: pd.DataFrame) -> FeatureSet:
    """Read the embeddings of a subset, and add the people and cameras of its rows."""
    file = paths.embeddings_file(features, subset)
    return FeatureSet(
        np.load(file),
        rows["pid"].to_numpy(np.int64),
        rows["camid"].to_numpy(np.int64),
        names=(f"{file}: features", f"{subset}: pids", f"{subset}: camids"),
    )


def read_gallery(features: Path, rows: pd.DataFrame, reranking: bool) -> Gallery:
    """Read the gallery's embeddings, or leave them on disk if they are `LARGE`.

    Re-ranking compares all photos with each other and needs them in memory.
    """
    file = paths.embeddings_file(features, "gallery")
    if reranking or file.stat().st_size < LARGE:
        return feature_set(features, "gallery", rows)
    return LargeGallery(file, rows["pid"].to_numpy(np.int64), rows["camid"].to_numpy(np.int64))


class Ranked(NamedTuple):
    """The gallery, ranked for each query."""

    ranking: Ranking
    answers: Answers
    camera_pairs: Callable[[], pd.DataFrame]
    """The table of `per_camera_pair`."""


def ranked(
    query: FeatureSet,
    gallery: Gallery,
    params: Params,
    watch: Callable[[PairSimilarities], None],
) -> Ranked:
    """Rank the gallery for each query, and find the answers to draw.

    ``watch`` is called with the similarities of each query in turn, for a large gallery several
    times in turn.
    """
    protocol, reranking = params.evaluate.protocol, params.evaluate.reranking
    if isinstance(gallery, FeatureSet):
        ranking, answers = rank_with_answers(
            query,
            gallery,
            ANSWERS_DRAWN,
            similarities=reranking.similarities if reranking.use else params.similarities,
            watch=watch,
            protocol=protocol,
        )
        return Ranked(ranking, answers, lambda: per_camera_pair(query, gallery, protocol=protocol))
    found = rank_large_gallery(
        query,
        gallery,
        ANSWERS_DRAWN,
        watch=watch,
        similarities=params.similarities,
        protocol=protocol,
        by_camera=cameras_of(query.camids, gallery.camids) <= MOST_CAMERAS_IN_PAIRS,
    )
    return Ranked(
        found.ranking,
        found.answers,
        lambda: camera_pairs(query.camids, gallery.camids, found.under, protocol),
    )


def figures(
    ranking: Ranking,
    wrong: WrongFirstAnswers,
    query: FeatureSet,
    gallery: Gallery,
    params: Params,
) -> dict[str, float]:
    """Return the content of ``metrics/<model>.json``: figures, ends of their intervals, counts.

    Figures of the protocol ``any_camera`` have the key ``ANY_CAMERA_FLAG``.
    """
    intervals = confidence_intervals(ranking, query.pids, params.evaluate.resamples, params.seed)
    ends = {
        f"{figure}_{end}": value
        for figure, interval in asdict(intervals).items()
        for end, value in interval.items()
    }
    return (
        asdict(summarise(ranking, gallery.pids))
        | ends
        | {
            "wrong_first_answers": wrong.queries,
            "wrong_first_answers_distractor": wrong.distractor,
            "wrong_first_answers_distractor_share": wrong.distractor_share,
            "reranked": params.evaluate.reranking.number,
        }
        | ({ANY_CAMERA_FLAG: 1} if params.evaluate.protocol == ANY_CAMERA else {})
    )


def figure_table(metrics: Mapping[str, float]) -> pd.DataFrame:
    """Tabulate the figures that have an interval: one row per figure, with its ends."""
    rows = [
        (FIGURES[figure], *(metrics[f"{figure}{end}"] for end in ("", "_low", "_high")))
        for figure in TESTED
    ]
    return pd.DataFrame(rows, columns=["figure", "value", "low", "high"])


def cmc_table(ranking: Ranking, max_rank: int) -> pd.DataFrame:
    """Tabulate the CMC curve: one row per rank."""
    cmc = cmc_curve(ranking, max_rank)
    return pd.DataFrame({"rank": np.arange(1, len(cmc) + 1), "cmc": cmc})


def open_set_table(searches: Searches, metrics: Mapping[str, float]) -> pd.DataFrame:
    """Tabulate FNIR against FPIR: the curve, and one row for each threshold that was set.

    The column ``threshold_for`` has the FPIR that such a threshold was set for, such as ``1 %``. It
    is empty for the points of the curve.
    """
    rows = [
        {
            "threshold_for": f"{100 * fpir:g} %",
            **{name: metrics[at_fpir(name, fpir)] for name in ErrorCurve._fields},
        }
        for fpir in OPEN_SET_FPIR
        if at_fpir("threshold", fpir) in metrics
    ]
    curve = pd.DataFrame({"threshold_for": "", **error_curve(searches)._asdict()})
    return pd.concat([curve, pd.DataFrame(rows)], ignore_index=True)


def write_camera_plots(
    folder: Path, found: Ranked, query: FeatureSet, gallery: Gallery, protocol: Protocol
) -> None:
    """Write the figures by the queries' camera and by pair of cameras, as CSV and as JSON.

    With more than ``MOST_CAMERAS_IN_PAIRS`` cameras, the files of pairs say that they are left out.
    """
    cameras = per_camera(found.ranking, query.camids)
    write_plot_table(cameras, folder / "cameras.csv", protocol)
    write_json(paths.cameras_file(folder), camera_metrics(cameras, "camera"))
    if (seen := cameras_of(query.camids, gallery.camids)) > MOST_CAMERAS_IN_PAIRS:
        note = f"left out: {seen:,} cameras, more than {MOST_CAMERAS_IN_PAIRS}"
        logger.info("pairs of cameras are %s", note)
        write_plot_table(no_camera_pairs(note), folder / "camera_pairs.csv", protocol)
        write_json(paths.camera_pairs_file(folder), {LEFT_OUT: note})
        return
    pairs = found.camera_pairs()
    write_plot_table(pairs, folder / "camera_pairs.csv", protocol)
    nested = camera_metrics(pairs, "query_camera", "gallery_camera")
    write_json(paths.camera_pairs_file(folder), nested)


def draw_answers(
    title: str, queries: int, query: pd.DataFrame, gallery: pd.DataFrame, answers: Answers
) -> Image.Image:
    """Draw at most ``queries`` queries, evenly spread over the query subset, and their answers."""
    drawn = np.linspace(0, len(query) - 1, min(queries, len(query)), dtype=int)
    chosen = Answers(answers.rows[drawn], answers.similarity[drawn], answers.right[drawn])
    return picture_of_answers(title, paths.DATASET, query, gallery, drawn, chosen)


def main() -> None:
    """Write the metrics, the ranking and the plots of the model that the command line names."""
    name = sys.argv[1]
    params = declared(f"evaluate@{name}", Params)
    reranking, protocol = params.evaluate.reranking, params.evaluate.protocol
    query_rows, gallery_rows = (read_subset(paths.DATASET, s) for s in ("query", "gallery"))
    features = paths.features_folder(name)
    query = feature_set(features, "query", query_rows)
    gallery = read_gallery(features, gallery_rows, reranking.use)
    distances, recorder = DistanceHistograms(reranking.distance), SearchRecorder(len(query))

    def watch(pairs: PairSimilarities) -> None:
        distances.add(pairs)
        if not reranking.use:
            recorder.add(pairs)

    found = ranked(query, gallery, params, watch)
    ranking, answers = found.ranking, found.answers
    if isinstance(gallery, FeatureSet) and reranking.use:
        # A threshold is one of similarities of embeddings.
        similar = params.similarities
        rank_with_answers(
            query, gallery, 1, similarities=similar, watch=recorder.add, protocol=protocol
        )
    wrong = wrong_first_answers(ranking, answers, gallery.pids)
    metrics = figures(ranking, wrong, query, gallery, params)
    searches = recorder.searches()
    metrics |= open_set_metrics(searches, query.pids, params.evaluate.resamples, params.seed)
    title = f"{name}: queries (blue) and their first ten answers, right (green) and wrong (red)"
    title += words_for_reranking(reranking.number) + words_for(protocol)
    picture = draw_answers(
        title, params.evaluate.picture_queries, query_rows, gallery_rows, answers
    )
    with replacing_folder(paths.plots_folder(name)) as part:
        tables = {
            part / "figures.csv": figure_table(metrics),
            part / "first_answers.csv": first_answers(ranking, wrong),
            paths.cmc_file(part): cmc_table(ranking, params.evaluate.max_rank),
            part / "distances.csv": distances.table(),
            part / "open_set.csv": open_set_table(searches, metrics),
        }
        for file, table in tables.items():
            write_plot_table(table, file, protocol)
        write_camera_plots(part, found, query, gallery, protocol)
        # A third of the usual time, for a file that is a tenth larger.
        picture.save(paths.answers_file(part), compress_level=3)
    names = query_rows["name"].to_numpy()
    write_ranking(paths.ranking_file(name), RankedQueries(names, query.pids, query.camids, ranking))
    write_json(paths.metrics_file(name), metrics)
    say(name, metrics, params.evaluate)


def say(name: str, metrics: Mapping[str, float], evaluate: Evaluate) -> None:
    """Log the main figures of a model in one line."""
    left_out = metrics["queries_without_match"]
    logger.info(
        "%s: rank-1 %.1f %% (%.1f to %.1f), mAP %.1f %% (%.1f to %.1f) over %d queries and %d "
        "gallery rows%s%s%s",
        name,
        *(100 * metrics[key] for key in ("rank1", "rank1_low", "rank1_high")),
        *(100 * metrics[key] for key in ("mAP", "mAP_low", "mAP_high")),
        metrics["queries"] - metrics["queries_without_match"],
        metrics["gallery"],
        f"; {left_out} without a right answer are left out" if left_out else "",
        words_for_reranking(evaluate.reranking.number),
        words_for(evaluate.protocol),
    )


if __name__ == "__main__":
    run(main)
