"""When a result counts as reproduced."""

import math

import pytest

from verify.recurrence import TOLERANCE, Recurrence, Verdict, recurrences


@pytest.mark.parametrize(
    ("name", "before", "now", "verdict"),
    [
        ("triplet/rank1", 0.5, 0.5, "equal"),
        ("triplet/rank1", 0.5, 0.5 + TOLERANCE / 2, "within"),
        ("triplet/rank1", 0.5, 0.5 - TOLERANCE / 2, "within"),
        ("triplet/rank1", 0.5, 0.5 + 2 * TOLERANCE, "differs"),
        ("triplet/rank1", 0.5, math.nan, "differs"),
        ("triplet/queries", 8, 8, "equal"),
        ("triplet/queries", 8, 8.01, "differs"),
    ],
)
def test_verdict(name: str, before: float, now: float, verdict: Verdict) -> None:
    assert Recurrence(name, before, now).verdict == verdict


def test_figures_and_counts_of_both_models_are_compared_and_nothing_else() -> None:
    before = {"baseline/rank1": 0.5, "triplet/queries": 8.0, "triplet/loss": 1.0}
    found = recurrences(before, before | {"triplet/mAP": 0.25})
    assert [figure.name for figure in found] == ["baseline/rank1", "triplet/mAP", "triplet/queries"]
    assert [figure.verdict for figure in found] == ["equal", "differs", "equal"]
