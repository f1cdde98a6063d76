"""A network as a folder that MLflow can serve: code, weights, pinned requirements, model card.

This module is a flavor for ``mlflow.models.Model.log``, which calls ``save_model``.
"""

import base64
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

import reid
from reid.data import paths
from reid.inference.engine import ENGINE_NEEDS, EngineName
from reid.serving.thresholds import THRESHOLDS, write_thresholds

CODE = Path(reid.__file__).parent
SERVED = CODE / "serving" / "served_model.py"
EXAMPLE = Path(__file__).with_name("assets") / "example.jpg"
"""A drawn pedestrian: more people may read a registry than may see the data set's photos."""

CARD, RANKING = "README.md", "ranking.parquet"
"""Files of the folder next to MLflow's own."""

SERVED_NEEDS = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "simplejpeg")
"""The packages that the served code imports on every engine."""


@dataclass(frozen=True)
class Package:
    """The content of the folder."""

    network: Path
    """The folder of the exported network."""
    keras: Path
    """The ``.keras`` file that it was exported from, so that it can be exported anew."""
    ranking: Path
    """The file of its ranking of the queries, so that a later version can be compared with it."""
    metrics: Mapping[str, float]
    """Its metrics, which have the thresholds for a search."""
    dimension: int
    """The length of an embedding."""
    requirements: Sequence[str]
    """The lines for pip."""
    card: str
    """The model card in markdown."""


def pinned_requirements(project: Path, engine: EngineName) -> list[str]:
    """Return the lines of a project's requirements that the served code needs on an engine."""
    needed = (*SERVED_NEEDS, *ENGINE_NEEDS[engine])
    files = (paths.REQUIREMENTS, paths.ONNX_REQUIREMENTS)
    lines = (line for f in files for line in (project / f).read_text("utf-8").splitlines())
    return [line for line in map(str.strip, lines) if line.partition("==")[0] in needed]


def signature(dimension: int) -> ModelSignature:
    """Return the signature: a column ``image`` of base64 text to float32 (n, dimension)."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, dimension))]),
    )


def input_example() -> pd.DataFrame:
    """Return a table with the image ``EXAMPLE``, as the model takes it."""
    return pd.DataFrame({"image": [base64.b64encode(EXAMPLE.read_bytes()).decode("ascii")]})


def save_model(path: str, mlflow_model: Model, package: Package, **_: object) -> None:
    """Write the folder.

    Args:
        path: of the folder, which must not exist yet.
        mlflow_model: MLflow's description, with the ids of model and run; completed here.
        package: the content.
        **_: options of ``Model.log`` for itself, which it hands on.
    """
    # The whole package of code, though a part would do: a process that has loaded the model finds
    # `reid` there and may import any of its files.
    pyfunc.save_model(
        path,
        mlflow_model=mlflow_model,
        python_model=SERVED,
        artifacts={"network": str(package.network), "keras": str(package.keras)},
        code_paths=[str(CODE)],
        pip_requirements=list(package.requirements),
        signature=signature(package.dimension),
        input_example=input_example(),
    )
    (Path(path) / CARD).write_text(package.card, encoding="utf-8")
    shutil.copyfile(package.ranking, Path(path) / RANKING)
    write_thresholds(Path(path) / THRESHOLDS, package.metrics)
