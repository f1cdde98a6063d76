"""Stage: is the triplet model better than the baseline? A paired test on the same queries."""

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from pydantic import Field

from reid.common.files import replacing_folder, write_json
from reid.common.settings import Settings
from reid.evaluation.confidence import MIN_RESAMPLES, Comparison, Difference, compare
from reid.evaluation.figures import FIGURES, TESTED, in_points
from reid.evaluation.ranking_file import read_paired_rankings
from stages._stage import declared, run

logger = logging.getLogger(__name__)

RANKINGS = Path("build/rankings")


class Evaluate(Settings):
    """How often to draw people."""

    resamples: int = Field(ge=MIN_RESAMPLES)


class Params(Settings):
    """Declared in ``dvc.yaml``."""

    seed: int = Field(ge=0)
    evaluate: Evaluate


def flat(comparison: Comparison) -> dict[str, float]:
    """``metrics/comparison.json``: triplet less baseline, interval and p-value of each figure."""
    values = {
        f"{figure}_{name}": value
        for figure in TESTED
        for name, value in asdict(getattr(comparison, figure)).items()
    }
    return values | {
        "only_triplet_right": comparison.only_first_right,
        "only_baseline_right": comparison.only_second_right,
        "people": comparison.people,
    }


def difference_table(comparison: Comparison) -> pd.DataFrame:
    """Triplet less baseline and the ends of the interval, in points, a row a figure."""
    tested: dict[str, Difference] = {figure: getattr(comparison, figure) for figure in TESTED}
    rows = [
        (FIGURES[figure], 100 * test.difference, 100 * test.low, 100 * test.high)
        for figure, test in tested.items()
    ]
    return pd.DataFrame(rows, columns=["figure", "value", "low", "high"])


def main() -> None:
    """Write ``metrics/comparison.json`` and ``plots/comparison``."""
    params = declared("compare", Params)
    triplet, baseline = read_paired_rankings(
        RANKINGS / "triplet.parquet", RANKINGS / "baseline.parquet"
    )
    comparison = compare(
        triplet.ranking, baseline.ranking, triplet.pids, params.evaluate.resamples, params.seed
    )
    write_json(Path("metrics") / "comparison.json", flat(comparison))
    with replacing_folder(Path("plots/comparison")) as part:
        table = difference_table(comparison)
        table.to_csv(part / "differences.csv", index=False, float_format="%.4f")
    test = comparison.rank1
    points = in_points(test.difference, test.low, test.high)
    logger.info("triplet less baseline: rank-1 %s, p = %.4f", points, test.p_value)


if __name__ == "__main__":
    run(main)
