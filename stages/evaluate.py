"""Stage, one for each model: the protocol's figures, how sure they are, where they come from."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from reid.common.files import replacing_folder, write_json
from reid.common.settings import Settings
from reid.data import paths
from reid.data.dataset import read_subset
from reid.evaluation.answers import picture_of_answers
from reid.evaluation.breakdown import (
    WrongFirstAnswers,
    camera_metrics,
    first_answers,
    per_camera,
    per_camera_pair,
    wrong_first_answers,
)
from reid.evaluation.confidence import Resamples, confidence_intervals
from reid.evaluation.distances import EUCLIDEAN, RERANKED, DistanceHistograms
from reid.evaluation.figures import FIGURES, TESTED
from reid.evaluation.ranking_file import RankedQueries, write_ranking
from reid.evaluation.reranking import Reranking
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import (
    Matches,
    Ranking,
    cmc_curve,
    dot_products,
    rank_and_match,
    summarise,
)
from stages._params import Seed
from stages._stage import declared, run

logger = logging.getLogger(__name__)

ANSWERS = 10
"""Of each query in the picture."""


class OptionalReranking(Reranking):
    """k-reciprocal re-ranking, or none."""

    use: bool


class Evaluate(Settings):
    """What to rank by, how sure to be, how much to show."""

    reranking: OptionalReranking
    resamples: Resamples
    max_rank: int = Field(ge=1)
    picture_queries: int = Field(ge=1)


class Params(Settings):
    """Declared in ``dvc.yaml``."""

    seed: Seed
    evaluate: Evaluate


def read_features(dataset: Path, features: Path, subset: str) -> FeatureSet:
    """The embeddings of a subset with the people and cameras that the data set gives them."""
    rows = read_subset(dataset, subset)
    file = paths.embeddings_file(features, subset)
    return FeatureSet(
        np.load(file),
        rows["pid"].to_numpy(np.int64),
        rows["camid"].to_numpy(np.int64),
        names=(f"{file}: features", f"{subset}: pids", f"{subset}: camids"),
    )


def figures(
    ranking: Ranking,
    wrong: WrongFirstAnswers,
    query: FeatureSet,
    gallery: FeatureSet,
    params: Params,
) -> dict[str, float]:
    """All that ``metrics/<model>.json`` says: figures, the ends of their intervals, counts."""
    sure = confidence_intervals(ranking, query.pids, params.evaluate.resamples, params.seed)
    ends = {
        f"{figure}_{end}": value
        for figure, interval in asdict(sure).items()
        for end, value in interval.items()
    }
    return (
        asdict(summarise(ranking, gallery.pids))
        | ends
        | {
            "wrong_first_answers": wrong.queries,
            "wrong_first_answers_distractor": wrong.distractor,
            "wrong_first_answers_distractor_share": wrong.distractor_share,
            "reranked": int(params.evaluate.reranking.use),
        }
    )


def figure_table(metrics: Mapping[str, float]) -> pd.DataFrame:
    """Figures with the ends of their intervals, a row each."""
    rows = [
        (FIGURES[figure], *(metrics[f"{figure}{end}"] for end in ("", "_low", "_high")))
        for figure in TESTED
    ]
    return pd.DataFrame(rows, columns=["figure", "value", "low", "high"])


def write_plots(
    folder: Path,
    title: str,
    params: Evaluate,
    ranking: Ranking,
    matches: Matches,
    distances: DistanceHistograms,
    query: FeatureSet,
    gallery: FeatureSet,
) -> None:
    """Write the CMC curve, distances, the figures by camera, and the picture of answers."""
    cmc = cmc_curve(ranking, params.max_rank)
    table = pd.DataFrame({"rank": np.arange(1, len(cmc) + 1), "cmc": cmc})
    table.to_csv(paths.cmc_file(folder), index=False, float_format="%.6f")
    distances.table().to_csv(folder / "distances.csv", index=False, float_format="%.6f")
    cameras = per_camera(ranking, query.camids)
    cameras.to_csv(folder / "cameras.csv", index=False, float_format="%.6f")
    write_json(paths.cameras_file(folder), camera_metrics(cameras, "camera"))
    pairs = per_camera_pair(query, gallery)
    pairs.to_csv(folder / "camera_pairs.csv", index=False, float_format="%.6f")
    nested = camera_metrics(pairs, "query_camera", "gallery_camera")
    write_json(folder / "camera_pairs.json", nested)
    shown = np.linspace(0, len(query) - 1, min(params.picture_queries, len(query)), dtype=int)
    chosen = Matches(matches.rows[shown], matches.similarity[shown], matches.right[shown])
    picture_of_answers(title, paths.DATASET, shown, chosen).save(paths.answers_file(folder))


def main() -> None:
    """Write the metrics, rankings and plots of the model named on the command line."""
    name = sys.argv[1]
    params = declared(f"evaluate@{name}", Params)
    reranking = params.evaluate.reranking
    similarities = reranking.similarities if reranking.use else dot_products
    dataset, features = paths.DATASET, paths.features_folder(name)
    query, gallery = (read_features(dataset, features, s) for s in ("query", "gallery"))
    distances = DistanceHistograms(RERANKED if reranking.use else EUCLIDEAN)
    ranking, matches = rank_and_match(
        query, gallery, ANSWERS, similarities=similarities, watch=distances.add
    )
    wrong = wrong_first_answers(ranking, matches, gallery.pids)
    metrics = figures(ranking, wrong, query, gallery, params)
    title = f"{name}: queries (blue) and their first ten answers, right (green) and wrong (red)"
    if reranking.use:
        title += ", re-ranked"
    with replacing_folder(paths.plots_folder(name)) as part:
        tables = {"figures": figure_table(metrics), "first_answers": first_answers(ranking, wrong)}
        for table, rows in tables.items():
            rows.to_csv(part / f"{table}.csv", index=False, float_format="%.6f")
        write_plots(part, title, params.evaluate, ranking, matches, distances, query, gallery)
    names = read_subset(dataset, "query")["name"].to_numpy()
    write_ranking(
        paths.ranking_file(name),
        RankedQueries(names, query.pids, query.camids, ranking),
    )
    write_json(paths.metrics_file(name), metrics)
    logger.info(
        "%s: rank-1 %.1f %% (%.1f to %.1f), mAP %.1f %% (%.1f to %.1f) over %d queries and %d "
        "gallery rows%s",
        name,
        *(100 * metrics[key] for key in ("rank1", "rank1_low", "rank1_high")),
        *(100 * metrics[key] for key in ("mAP", "mAP_low", "mAP_high")),
        metrics["queries"] - metrics["queries_without_match"],
        metrics["gallery"],
        ", re-ranked" if reranking.use else "",
    )


if __name__ == "__main__":
    run(main)
