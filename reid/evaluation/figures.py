"""The figures of the protocol: their names in files, tags and tables, and how they are written."""

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
"""Shares from 0 to 1 in ``metrics/<model>.json``, and what they are called for people."""

REPORTED = ("rank1", "rank5", "rank10", "mAP", "mINP")
"""Of these, what a table of both models has room for."""

TESTED = ("rank1", "mAP", "mINP")
"""Figures that have an interval, and a test of one model against another."""

COUNTS = ("queries", "queries_without_match", "gallery", "junk", "distractors")
"""What the same files say of the test set."""


def value_and_interval(metrics: Mapping[str, float], figure: str) -> tuple[str, str]:
    """In per cent, ``("83.0", "76.3-89.2")``; the second is empty where there is no interval."""
    value = f"{100 * metrics[figure]:.1f}"
    if f"{figure}_low" not in metrics:
        return value, ""
    low, high = (100 * metrics[f"{figure}_{end}"] for end in ("low", "high"))
    return value, f"{low:.1f}-{high:.1f}"


def in_points(difference: float, low: float, high: float) -> str:
    """A difference of shares and its interval: ``+6.5 points (95 % interval +1.9 to +11.7)``."""
    value, *ends = (f"{100 * share:+.1f}" for share in (difference, low, high))
    return f"{value} points (95 % interval {' to '.join(ends)})"
