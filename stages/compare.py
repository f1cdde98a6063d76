"""Stage: is the triplet model better than the baseline? A paired test on the same queries."""

import logging
from dataclasses import asdict

import pandas as pd

from reid.common.files import replacing_folder, write_json
from reid.common.settings import Settings
from reid.data import paths
from reid.data.protocols import ANY_CAMERA, ANY_CAMERA_FLAG, Protocol, words_for
from reid.evaluation.confidence import Comparison, Difference, Resamples, compare
from reid.evaluation.figures import FIGURES, TESTED, in_points
from reid.evaluation.plot_tables import write_plot_table
from reid.evaluation.ranking_file import read_paired_rankings
from stages._params import Seed
from stages._stage import declared, run

logger = logging.getLogger(__name__)


class Evaluate(Settings):
    """The parameters of the protocol, of the intervals and of the test."""

    protocol: Protocol
    resamples: Resamples


class Params(Settings):
    """The parameters that ``dvc.yaml`` declares."""

    seed: Seed
    evaluate: Evaluate


def flat(comparison: Comparison, protocol: Protocol) -> dict[str, float]:
    """Return the content of ``metrics/comparison.json``.

    That is triplet minus baseline, its interval and its p-value for each figure, and counts. Those
    of the protocol ``any_camera`` have the key ``ANY_CAMERA_FLAG``.
    """
    values = {
        f"{figure}_{name}": value
        for figure in TESTED
        for name, value in asdict(getattr(comparison, figure)).items()
    }
    counts = {
        "only_triplet_right": comparison.only_first_right,
        "only_baseline_right": comparison.only_second_right,
        "people": comparison.people,
    }
    return values | counts | ({ANY_CAMERA_FLAG: 1} if protocol == ANY_CAMERA else {})


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
    protocol = params.evaluate.protocol
    write_json(paths.metrics_file(paths.COMPARISON), flat(comparison, protocol))
    with replacing_folder(paths.plots_folder(paths.COMPARISON)) as part:
        table = difference_table(comparison)
        write_plot_table(table, part / "differences.csv", protocol, decimals=4)
    test = comparison.rank1
    points = in_points(test.difference, test.low, test.high)
    words = words_for(protocol)
    logger.info("triplet minus baseline: rank-1 %s, p = %.4f%s", points, test.p_value, words)


if __name__ == "__main__":
    run(main)
