"""The protocol's figures: their names in files, tags and tables, and their format as text."""

from collections.abc import Mapping

FIGURES = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank10": "rank-10",
    "rank20": "rank-20",
    "mAP": "mAP",
    "mAP_official": "mAP official",
    "mINP": "mINP",
}
"""The keys of the shares from 0 to 1 in ``metrics/<model>.json``, and their names for people."""

REPORTED = ("rank1", "rank5", "rank10", "mAP", "mINP")
"""The figures for which a table of both models has room."""

TESTED = ("rank1", "mAP", "mINP")
"""The figures that have an interval, and a test of one model against another."""

COUNTS = ("queries", "queries_without_match", "gallery", "junk", "distractors")
"""The keys of the counts in the same files, which describe the test set."""


OPEN_SET_FPIR = (0.01, 0.1)
"""The shares of strangers that may be taken for somebody in the gallery; each sets a threshold."""


def at_fpir(figure: str, fpir: float) -> str:
    """Return the key of a figure at the threshold for a share of strangers: ``FNIR_at_1pct``.

    ``figure``: ``threshold``; ``FNIR``, which has an interval; or ``FPIR``, as it was measured.
    """
    return f"{figure}_at_{100 * fpir:g}pct"


OPEN_SET = {at_fpir("FNIR", fpir): f"FNIR at FPIR {100 * fpir:g} %" for fpir in OPEN_SET_FPIR}
"""The keys of the open set's figures, lower is better, and their names for people.

A key is missing if there were too few queries to set its threshold.
"""


def value_and_interval(metrics: Mapping[str, float], figure: str) -> tuple[str, str]:
    """Write a figure and its interval in per cent: ``("83.0", "76.3-89.2")``.

    The second text is empty if the figure has no interval.
    """
    value = f"{100 * metrics[figure]:.1f}"
    if f"{figure}_low" not in metrics:
        return value, ""
    low, high = (100 * metrics[f"{figure}_{end}"] for end in ("low", "high"))
    return value, f"{low:.1f}-{high:.1f}"


def in_points(difference: float, low: float, high: float) -> str:
    """Write a difference of shares: ``+6.5 points (95 % interval +1.9 to +11.7)``."""
    value, *ends = (f"{100 * share:+.1f}" for share in (difference, low, high))
    return f"{value} points (95 % interval {' to '.join(ends)})"
