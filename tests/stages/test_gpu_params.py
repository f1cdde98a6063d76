"""The pipeline takes the parameters for a GPU, and ``make gpu`` names all of them."""

import shlex
import subprocess
from typing import Any

import yaml

from stages._training import TrainingParams
from tests.support.places import ROOT


def read(name: str) -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return params


def test_training_accepts_each_gpu_parameter_and_its_value_differs() -> None:
    params = read("params.yaml")
    for name, value in read("params-gpu.yaml").items():
        *groups, key = name.split(".")
        group = params
        for part in groups:
            group = group[part]
        assert group[key] != value
        group[key] = value
    TrainingParams.model_validate({key: params[key] for key in TrainingParams.model_fields})


def test_make_gpu_names_all_gpu_parameters() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "gpu"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    experiment = next(line for line in planned.splitlines() if "dvc exp run" in line)
    shown = subprocess.run(
        ["bash", "-c", experiment.replace("dvc exp run", "echo", 1)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    named = dict(word.split("=", 1) for word in shlex.split(shown) if word != "-S")
    assert named == {name: str(value) for name, value in read("params-gpu.yaml").items()}
