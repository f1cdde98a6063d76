"""The same training under TensorFlow and under JAX."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.common.errors import UserError
from reid.model.backend import keras, make_deterministic
from reid.model.backend_choice import choose
from reid.model.network import EMBEDDING, load_network, save_network
from tests.support.facts_of_backend import RESUMED_AFTER, SURENESS
from tests.support.places import ROOT
from tests.support.project import Project
from tests.support.small_training import TINY, fold, network
from tests.support.warm import warm_environment

pytestmark = pytest.mark.slow

BACKENDS = ("tensorflow", "jax")


def printed(module: str, *arguments: str, **environment: str) -> str:
    """Return what a program of tests/support prints in a process of its own."""
    done = subprocess.run(
        ["python", "-m", f"tests.support.{module}", *arguments],
        cwd=ROOT,
        env=os.environ | warm_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Trained:
    """What the training under one backend gave."""

    uninterrupted: pd.DataFrame
    resumed: pd.DataFrame
    loss_of_a_sure_mistake: float
    folder: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """Train the same network under each backend."""
    folder = tmp_path_factory.mktemp("backends")
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    start = folder / "start.keras"
    save_network(network(TINY), start)
    found = {}
    for backend in BACKENDS:
        arguments = (str(start), str(folder / backend))
        facts = json.loads(printed("facts_of_backend", *arguments, KERAS_BACKEND=backend))
        found[backend] = Trained(
            pd.DataFrame(facts["uninterrupted"]),
            pd.DataFrame(facts["resumed"]),
            facts["loss_of_a_sure_mistake"],
            folder / backend,
        )
    return found


def test_both_backends_give_the_same_history(trained: dict[str, Trained]) -> None:
    tensorflow, jax = (trained[backend].uninterrupted for backend in BACKENDS)
    assert len(tensorflow) == 3
    pd.testing.assert_frame_equal(tensorflow, jax, rtol=1e-3)


def test_tensorflow_loads_what_jax_trained(trained: dict[str, Trained]) -> None:
    images = fold(1, 5, size=TINY.height).images
    tensorflow, jax = (
        load_network(trained[backend].folder / "model" / "last.keras").predict_on_batch(images)
        for backend in BACKENDS
    )
    cosines = np.sum(tensorflow[EMBEDDING] * jax[EMBEDDING], axis=1)
    assert cosines == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_resumed_training_ends_alike(trained: dict[str, Trained], backend: str) -> None:
    resumed, uninterrupted = trained[backend].resumed, trained[backend].uninterrupted
    assert resumed["epoch"].tolist() == list(range(RESUMED_AFTER + 1, 4))
    last = uninterrupted.iloc[RESUMED_AFTER:].reset_index(drop=True)
    pd.testing.assert_frame_equal(resumed, last, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_of_a_mistake_grows_with_its_sureness(
    trained: dict[str, Trained], backend: str
) -> None:
    assert trained[backend].loss_of_a_sure_mistake == pytest.approx(SURENESS)


def test_pipeline_trains_and_extracts_without_tensorflow(
    unfinished: Project, tmp_path: Path
) -> None:
    project = unfinished
    project.set_params(
        {"backend": "jax", "baseline": {"epochs": 1}, "extract": {"engine": "keras"}}
    )
    (tmp_path / "tensorflow.py").write_text("raise ImportError('TensorFlow, under JAX')")
    without = {"PYTHONPATH": str(tmp_path), "START_COLD": "yes"}
    project.must("dvc", "repro", "extract@baseline", **without)
    assert np.load(project.root / "build/features/baseline/query.npy").any()


def test_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.model.backend_choice.find_spec", lambda _: None)
    with pytest.raises(UserError, match="backend: jax is not installed"):
        choose("jax")


def test_keras_settings_of_the_user_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "backend": "jax",
        "floatx": "float64",
        "epsilon": 0.1,
        "image_data_format": "channels_first",
    }
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    found = printed("keras_settings", KERAS_HOME=str(tmp_path), START_COLD="yes")
    assert found.split() == ["tensorflow", "float32", "1e-07", "channels_last"]
