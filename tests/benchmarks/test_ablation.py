"""The rows of the ablation lead from the notebook's recipe to that of ``params.yaml``."""

from itertools import pairwise

import yaml

from benchmarks.ablation import rows
from runs.params import flatten
from tests.support.places import ROOT


def test_each_row_adds_something_and_the_last_is_the_default() -> None:
    chosen = flatten(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
    recipes = [settings for _, settings in rows(chosen)]
    assert all(before != after for before, after in pairwise(recipes))
    assert recipes[-1] == chosen
    assert set(recipes[0]) == set(chosen)
