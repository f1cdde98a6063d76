"""Stage, one for each model: the protocol's figures, the CMC curve, a picture of answers."""

import logging
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from reid.answers import picture_of_answers
from reid.dataset import read_subset
from reid.evaluation import cmc_curve, rank_queries, summarise, top_matches
from reid.feature_set import FeatureSet
from reid.files import replacing_folder, write_json
from reid.settings import Settings
from stages.shell import declared, run

logger = logging.getLogger(__name__)


class Evaluate(Settings):
    """How much to show."""

    max_rank: int = Field(ge=1)
    picture_queries: int = Field(ge=1)


class Params(Settings):
    """Declared in ``dvc.yaml``."""

    evaluate: Evaluate


def read_features(dataset: Path, features: Path, subset: str) -> FeatureSet:
    """The embeddings of a subset with the people and cameras that the data set gives them."""
    rows = read_subset(dataset, subset)
    file = features / f"{subset}.npy"
    return FeatureSet(
        np.load(file),
        rows["pid"].to_numpy(np.int64),
        rows["camid"].to_numpy(np.int64),
        names=(f"{file}: features", f"{subset}: pids", f"{subset}: camids"),
    )


def main() -> None:
    """Write ``metrics/<model>.json`` and ``plots/<model>``, the model named on the command line."""
    name = sys.argv[1]
    params = declared(f"evaluate@{name}", Params).evaluate
    dataset, features = Path("build/dataset"), Path("build/features") / name
    query, gallery = (read_features(dataset, features, s) for s in ("query", "gallery"))
    ranking = rank_queries(query, gallery)
    metrics = summarise(ranking, gallery.pids)
    shown = np.linspace(0, len(query) - 1, min(params.picture_queries, len(query)), dtype=int)
    chosen = FeatureSet(query.features[shown], query.pids[shown], query.camids[shown])
    matches = top_matches(chosen, gallery, 10)
    with replacing_folder(Path("plots") / name) as part:
        cmc = cmc_curve(ranking, params.max_rank)
        table = pd.DataFrame({"rank": np.arange(1, len(cmc) + 1), "cmc": cmc})
        table.to_csv(part / "cmc.csv", index=False, float_format="%.6f")
        title = f"{name}: queries (blue) and their first ten answers, right (green) and wrong (red)"
        picture_of_answers(title, dataset, shown, matches).save(part / "answers.png")
    write_json(Path("metrics") / f"{name}.json", asdict(metrics))
    logger.info(
        "%s: rank-1 %.1f %%, mAP %.1f %% over %d queries and %d gallery rows",
        name,
        100 * metrics.rank1,
        100 * metrics.mAP,
        metrics.queries - metrics.queries_without_match,
        metrics.gallery,
    )


if __name__ == "__main__":
    run(main)
