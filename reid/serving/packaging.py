"""A network as a folder that MLflow can serve: code, weights, pinned requirements, model card."""

import base64
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

import reid

CODE = Path(reid.__file__).parent
SERVED = CODE / "serving" / "served_model.py"
EXAMPLE = Path(__file__).with_name("assets") / "example.jpg"
"""A drawn pedestrian: a registry has more readers than the photos of a data set."""

CARD, RANKING = "README.md", "ranking.parquet"
"""Files of the folder beside MLflow's own."""

SERVED_NEEDS = (
    "keras",
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "tensorflow",
    "tensorflow-cpu",
)
"""What the code that is served imports."""


@dataclass(frozen=True)
class Package:
    """What goes into the folder."""

    network: Path
    """The ``.keras`` file."""
    ranking: Path
    """How it ranked the queries, so that a later version can be compared with it."""
    flip: bool
    """Whether the mirror image is embedded too."""
    dimension: int
    """Of an embedding."""
    requirements: Sequence[str]
    """Lines for pip."""
    card: str
    """Markdown."""


def pinned_requirements(file: Path) -> list[str]:
    """The lines of a requirements file that the served code needs, with their exact versions."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.partition("==")[0] in SERVED_NEEDS]


def signature(dimension: int) -> ModelSignature:
    """A column ``image`` of base64 text to float32 (n, dimension)."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, dimension))]),
    )


def input_example() -> pd.DataFrame:
    """The image ``EXAMPLE`` as the model takes it."""
    return pd.DataFrame({"image": [base64.b64encode(EXAMPLE.read_bytes()).decode("ascii")]})


def write_package(package: Package, folder: Path, model: Model) -> None:
    """Write the folder, which must not be there yet.

    Args:
        package: what goes into it.
        folder: to write.
        model: MLflow's description, with the ids of model and run; completed here.
    """
    # The whole package of code, though a part would do: a process that has loaded the model finds
    # `reid` there, and may import other files of it.
    pyfunc.save_model(
        folder,
        mlflow_model=model,
        python_model=SERVED,
        artifacts={"network": str(package.network)},
        code_paths=[str(CODE)],
        model_config={"flip": package.flip},
        pip_requirements=list(package.requirements),
        signature=signature(package.dimension),
        input_example=input_example(),
    )
    (folder / CARD).write_text(package.card, encoding="utf-8")
    shutil.copyfile(package.ranking, folder / RANKING)
