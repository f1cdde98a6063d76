"""The grid of a sweep and the names of its runs."""

import pytest

from experiments.grid import combinations, next_sweep, parse_grid, run_name
from reid.common.errors import UserError


def test_grid_is_every_value_with_every_other() -> None:
    grid = parse_grid(["lr=0.01, 0.02", "triplet.margin=0.3,soft"])
    assert combinations(grid) == [
        {"lr": "0.01", "triplet.margin": "0.3"},
        {"lr": "0.01", "triplet.margin": "soft"},
        {"lr": "0.02", "triplet.margin": "0.3"},
        {"lr": "0.02", "triplet.margin": "soft"},
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "no parameter"),
        (["lr"], "as in lr=0.01,0.02"),
        (["=1"], "as in lr=0.01,0.02"),
        (["lr=0.01,"], "as in lr=0.01,0.02"),
        (["lr=1,1"], "twice"),
        (["lr=1", "lr=2"], "given twice"),
        (["evaluate.protocol=any_camera,cross_camera"], "two protocols can't be compared"),
    ],
)
def test_grid_that_makes_no_sense_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_grid(settings)


def test_run_is_named_after_its_changes() -> None:
    changes = {"lr": "1e-3", "model.weights": "a b/c"}
    assert run_name("sweep10", changes) == "sweep10-lr1e-3-weightsa_b_c"


def test_sweep_has_the_first_number_after_those_in_use() -> None:
    assert next_sweep({"sweep1-lr0.1", "sweep9.csv", "sweeper-30", "seed1"}) == "sweep10"
    assert next_sweep(set()) == "sweep1"
