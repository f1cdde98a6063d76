"""The same training under TensorFlow and under JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reid.common.errors import UserError
from reid.model.backend import keras, make_deterministic
from reid.model.backend_choice import choose
from reid.model.network import EMBEDDING, build_network, load_network, save_network
from tests.support.places import ROOT
from tests.support.project import make_project
from tests.support.small_training import PEOPLE, SHALLOW, fold

LOSS_OF_A_SURE_MISTAKE = """
from reid.model.backend import keras
from reid.training.compiling import compiled
from reid.model.network import build_network
from reid.training.objective import Objective
from tests.support.small_training import NETWORK, PEOPLE, plan

model = compiled(build_network(NETWORK, "none", PEOPLE), plan(1, Objective(label_smoothing=0.0)))
logits = keras.ops.convert_to_tensor([[0.0, 0.0, 0.0, 40.0]])
print(float(model.loss["softmax"](keras.ops.eye(PEOPLE)[:1], logits)))
"""


def history(backend: str, network: Path, folder: Path, *options: str) -> pd.DataFrame:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.history_of_training",
            str(network),
            str(folder),
            *options,
        ],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Proceeding with `jit_compile=False`" not in done.stderr
    return pd.DataFrame(json.loads(done.stdout))


@pytest.fixture
def start(tmp_path: Path) -> Path:
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    path = tmp_path / "start.keras"
    save_network(build_network(SHALLOW, "none", PEOPLE), path)
    return path


def test_xla_trains_alike(start: Path, tmp_path: Path) -> None:
    plain = history("tensorflow", start, tmp_path / "plain")
    compiled = history("tensorflow", start, tmp_path / "xla", "xla")
    pd.testing.assert_frame_equal(plain, compiled, rtol=1e-3)


def test_jax_and_tensorflow_train_alike(start: Path, tmp_path: Path) -> None:
    histories = [history(backend, start, tmp_path / backend) for backend in ("tensorflow", "jax")]
    assert len(histories[0]) == 3
    pd.testing.assert_frame_equal(*histories, rtol=1e-3)
    # What one trained, the other loads.
    images = fold(1, 5, size=64).images
    embeddings = [
        load_network(tmp_path / backend / "model" / "last.keras").predict_on_batch(images)[
            EMBEDDING
        ]
        for backend in ("tensorflow", "jax")
    ]
    assert np.sum(embeddings[0] * embeddings[1], axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("options", [("tensorflow", "xla"), ("jax",)], ids=["xla", "jax"])
def test_compiled_training_that_was_stopped_goes_on_alike(
    start: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    backend, *others = options
    undisturbed = history(backend, start, tmp_path / "undisturbed", *others)
    # Once while the backbone is frozen, once after it.
    parts = [
        history(backend, start, tmp_path / "stopped", *others, *stop)
        for stop in (("stop=1",), ("stop=2",), ())
    ]
    assert [list(part["epoch"]) for part in parts] == [[1], [2], [3]]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), undisturbed, rtol=1e-5)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_sure_mistake_costs_as_much_as_it_is_sure(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOSS_OF_A_SURE_MISTAKE],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == pytest.approx(40)


def test_pipeline_trains_and_extracts_without_tensorflow(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    project.set_params({"backend": "jax", "baseline": {"epochs": 1}})
    (tmp_path / "tensorflow.py").write_text("raise ImportError('TensorFlow, under JAX')")
    done = project.run("dvc", "repro", "extract@baseline", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert np.load(project.root / "build/features/baseline/query.npy").any()


def test_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.model.backend_choice.find_spec", lambda _: None)
    with pytest.raises(UserError, match="backend: jax is not installed"):
        choose("jax")


def test_settings_of_the_user_change_nothing(tmp_path: Path) -> None:
    settings = {
        "backend": "jax",
        "floatx": "float64",
        "epsilon": 0.1,
        "image_data_format": "channels_first",
    }
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    told = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from reid.model.backend import keras as k; c = k.config; "
            "print(c.backend(), c.floatx(), c.epsilon(), c.image_data_format())",
        ],
        cwd=ROOT,
        env=environment | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.split() == ["tensorflow", "float32", "1e-07", "channels_last"]
