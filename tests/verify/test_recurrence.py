"""When a result counts as reproduced."""

import math

import pytest

from verify.recurrence import TOLERANCE, Recurrence, Verdict, recurrences
from verify.result import ResultFiles
from verify.rule import judge
from verify.tables import figures_table


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


def measured(any_camera: bool) -> ResultFiles:
    figures = {"rank1": 0.5} | ({"any_camera": 1} if any_camera else {})
    return ResultFiles('{"stages": {}}', {"baseline": figures, "triplet": figures})


def test_equal_figures_by_another_protocol_are_not_reproduced() -> None:
    assert judge(measured(any_camera=True), measured(any_camera=True)).problems == []
    (problem,) = judge(measured(any_camera=False), measured(any_camera=True)).problems
    assert "by the protocol cross_camera, and are now measured by any_camera" in problem


def test_figures_of_the_base_by_another_protocol_are_pointed_out() -> None:
    judgement = judge(measured(any_camera=True), measured(any_camera=True))
    remarks = figures_table(judgement, measured(any_camera=False)).columns[-1].cells
    assert set(remarks) == {"base is by another protocol"}
    assert set(figures_table(judgement, measured(any_camera=True)).columns[-1].cells) == {""}
