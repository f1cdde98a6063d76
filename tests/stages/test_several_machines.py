"""The stage of a training under JAX, on two machines, each with a checkout of its own."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.machines import jax_devices, machines
from tests.support.project import LOSSES, Project

FILES = ("best.keras", "last.keras", "final.keras", "history.csv", "train.json")


@pytest.fixture
def checkouts(unfinished: Project, tmp_path: Path) -> list[Project]:
    """Two checkouts of a project that trains the baseline on two devices."""
    unfinished.set_params(
        {"backend": "jax", "devices": 2, "baseline": {"epochs": 1}, "extract": {"engine": "keras"}}
    )
    other = Project(tmp_path / "other")
    shutil.copytree(unfinished.root, other.root, symlinks=True)
    return [unfinished, other]


def trained(checkouts: list[Project]) -> "list[subprocess.CompletedProcess[str]]":
    """Train in all checkouts at once, each as one machine."""

    def train(project: Project, machine: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return project.run("dvc", "repro", "train_baseline", **machine)

    with ThreadPoolExecutor(len(checkouts)) as pool:
        return list(pool.map(train, checkouts, machines(len(checkouts))))


def test_both_write_the_same_model_without_tensorflow(checkouts: list[Project]) -> None:
    for done in trained(checkouts):
        assert done.returncode == 0, done.stdout
    first, second = (
        [(project.root / "models" / "baseline" / file).read_bytes() for file in FILES]
        for project in checkouts
    )
    assert first == second
    runs = [project.mlflow_runs() for project in checkouts]
    assert [run.data.metrics.keys() & LOSSES for run in runs[0]] == [{"baseline/loss"}]
    assert runs[1] == [], "the second machine reported the training, too"
    # The first goes on alone.
    checkouts[0].must("dvc", "repro", "extract@baseline", **jax_devices())
    assert np.load(checkouts[0].root / "build/features/baseline/query.npy").any()
