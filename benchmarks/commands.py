"""What a person waits for: a search, a registered model, a pipeline with nothing to do, imports."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, in_turns
from benchmarks.limits import idle_repro
from reid.data import paths
from reid.data.dataset import read_columns

CHAMPION = "models:/reid@champion"
PACKAGES = "from reid.inference.openvino_runtime import ov; import numpy, PIL, typer"
STAGES = (
    *("ingest", "validate", "split", "train_baseline", "train_triplet", "export", "extract"),
    *("evaluate", "compare", "track"),
)


def python(*arguments: str) -> Callable[[], object]:
    """Return a function that runs Python with arguments, and fails if it fails."""
    command = (sys.executable, *arguments)
    return lambda: subprocess.run(command, check=True, capture_output=True)


def figures() -> Iterator[Figure]:
    """Time commands in processes of their own, next to the imports that they can't do without.

    The result must be up to date and registered: `make repro` sees to both.
    """
    with TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(read_columns(paths.DATASET, "query", ("image",))["image"][0])
        # It fails if there is something to do.
        idle_repro()
        yield in_turns(
            "python -m reid search PHOTO",
            python("-m", "reid", "search", str(photo)),
            limits={"importing its packages": python("-c", PACKAGES)},
        )
    yield in_turns(
        "loading a registered model",
        python("-c", f"import mlflow; mlflow.pyfunc.load_model({CHAMPION!r})"),
        limits={"importing MLflow": python("-c", "import mlflow.pyfunc")},
    )
    yield in_turns(
        "dvc repro with nothing to do",
        python("-m", "dvc", "repro"),
        limits={"importing DVC and MLflow": python("-c", "import dvc.repo, mlflow")},
    )
    for stage in STAGES:
        yield in_turns(f"importing stages.{stage}", python("-c", f"import stages.{stage}"))
