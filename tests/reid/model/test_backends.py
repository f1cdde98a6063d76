"""The same training under TensorFlow and under JAX, on one device and on two."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
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
from tests.support.machines import jax_devices, machines
from tests.support.places import ROOT
from tests.support.small_training import TINY, fold, network
from tests.support.waiting import DEADLINE
from tests.support.warm import warm_environment

pytestmark = pytest.mark.slow

BACKENDS = ("tensorflow", "jax")
MACHINES = ("first machine", "second machine")
MODEL_FILES = ("best.keras", "last.keras", "history.csv")


def printed(module: str, *arguments: str, **environment: str) -> str:
    """Return what a program of tests/support prints in a process of its own."""
    done = subprocess.run(
        ["python", "-m", f"tests.support.{module}", *arguments],
        cwd=ROOT,
        env=os.environ | warm_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Trained:
    """What a training gave. Those on several devices were not resumed."""

    uninterrupted: pd.DataFrame
    resumed: pd.DataFrame
    loss_of_a_sure_mistake: float
    said_of_a_difference: str
    rows_of_each_device: list[int]
    folder: Path

    def file(self, name: str) -> bytes:
        """Return the content of a file of the model."""
        return (self.folder / "model" / name).read_bytes()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """Train the same network under each backend, and on two devices, of one machine and of two."""
    folder = tmp_path_factory.mktemp("backends")
    keras.backend.clear_session()
    make_deterministic(seed=1, threads=2)
    start = folder / "start.keras"
    save_network(network(TINY), start)
    ways = {
        "tensorflow": (1, {"KERAS_BACKEND": "tensorflow"}),
        "jax": (1, jax_devices()),
        **dict(zip(MACHINES, ((2, variables) for variables in machines(2)), strict=True)),
        "two devices": (2, jax_devices(2)),
    }

    def train(way: str) -> Trained:
        devices, environment = ways[way]
        (folder / way).mkdir()
        arguments = (str(start), str(folder / way), str(devices))
        printed("facts_of_backend", *arguments, **environment)
        facts = json.loads((folder / way / "facts.json").read_text())
        return Trained(
            pd.DataFrame(facts["uninterrupted"]),
            pd.DataFrame(facts.get("resumed")),
            facts.get("loss_of_a_sure_mistake", np.nan),
            facts.get("said_of_a_difference", ""),
            facts.get("rows_of_each_device", []),
            folder / way,
        )

    with ThreadPoolExecutor(len(MACHINES)) as pool:
        return dict(zip(ways, pool.map(train, ways), strict=True))


def test_both_backends_give_the_same_history(trained: dict[str, Trained]) -> None:
    tensorflow, jax = (trained[backend].uninterrupted for backend in BACKENDS)
    assert len(tensorflow) == 3
    pd.testing.assert_frame_equal(tensorflow, jax, rtol=1e-3)


def test_two_devices_have_the_losses_of_one(trained: dict[str, Trained]) -> None:
    one, two = (trained[way].uninterrupted for way in ("jax", "two devices"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("file", MODEL_FILES)
@pytest.mark.parametrize("machine", MACHINES)
def test_two_machines_train_what_one_with_two_devices_trains(
    trained: dict[str, Trained], machine: str, file: str
) -> None:
    assert trained[machine].file(file) == trained["two devices"].file(file)


def test_devices_share_the_rows_of_a_batch(trained: dict[str, Trained]) -> None:
    assert trained["two devices"].rows_of_each_device == [4, 4]
    assert [trained[machine].rows_of_each_device for machine in MACHINES] == [[4], [4]]


@pytest.mark.parametrize("machine", MACHINES)
def test_machines_that_differ_say_so(trained: dict[str, Trained], machine: str) -> None:
    assert "the machines differ; this one has " in trained[machine].said_of_a_difference


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
