"""The parameters for a GPU are ones that the pipeline takes, and ``make gpu`` names them all."""

import shlex
import subprocess
from typing import Any

import yaml

from stages._training import TrainingParams
from tests.support.places import ROOT


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_each_is_a_parameter_with_another_value_that_training_accepts() -> None:
    params = read("params.yaml")
    for name, value in read("params-gpu.yaml").items():
        *groups, key = name.split(".")
        group = params
        for part in groups:
            group = group[part]
        assert group[key] != value
        group[key] = value
    TrainingParams.model_validate({key: params[key] for key in TrainingParams.model_fields})


def test_make_gpu_names_them_all() -> None:
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
    told = dict(word.split("=", 1) for word in shlex.split(shown) if word != "-S")
    assert told == {name: str(value) for name, value in read("params-gpu.yaml").items()}
