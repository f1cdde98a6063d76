"""Stage: is the triplet model better than the baseline? A paired test on the same queries."""

import logging
from dataclasses import asdict

import pandas as pd

from reid.common.files import replacing_folder, write_json
from reid.common.settings import Settings
from reid.data import paths
from reid.evaluation.confidence import Comparison, Difference, Resamples, compare
from reid.evaluation.figures import FIGURES, TESTED, in_points
from reid.evaluation.ranking_file import read_paired_rankings
from stages._params import Seed
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Evaluate(Settings):
    """The parameters of the intervals and of the test."""

    resamples: Resamples


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    seed: Seed
    evaluate: Evaluate


def flat(comparison: Comparison) -> dict[str, float]:
    """Return the content of ``metrics/comparison.json``.

    That is triplet minus baseline, its interval and its p-value for each figure, and counts.
    """
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
    """Tabulate triplet minus baseline and its interval, in points: one row per figure."""
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
        paths.ranking_file(paths.TRIPLET), paths.ranking_file(paths.BASELINE)
    )
    comparison = compare(
        triplet.ranking, baseline.ranking, triplet.pids, params.evaluate.resamples, params.seed
    )
    write_json(paths.metrics_file(paths.COMPARISON), flat(comparison))
    with replacing_folder(paths.plots_folder(paths.COMPARISON)) as part:
        table = difference_table(comparison)
        table.to_csv(part / "differences.csv", index=False, float_format="%.4f")
    test = comparison.rank1
    points = in_points(test.difference, test.low, test.high)
    logger.info("triplet minus baseline: rank-1 %s, p = %.4f", points, test.p_value)


if __name__ == "__main__":
    run(main)
