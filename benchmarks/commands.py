"""What a person waits for: a search, a registered model, a pipeline with nothing to do, imports."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, in_turns
from reid.data import paths
from reid.data.dataset import read_columns
from search.networks import CHAMPION

PACKAGES = "from reid.inference.openvino_runtime import ov; import numpy, PIL, simplejpeg, typer"
OF_EVERY_STAGE = "import dvc.output, pandas, pyarrow.parquet, pydantic"
STAGES = (
    *("ingest", "validate", "split", "train_baseline", "train_triplet", "export", "extract"),
    *("evaluate", "compare", "track"),
)


def python(*arguments: str) -> Callable[[], str]:
    """Return a function that runs Python with arguments and returns what it prints.

    If Python fails, so does the benchmark, with what was printed.
    """

    def run() -> str:
        command = (sys.executable, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"error: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
        return done.stdout

    return run


def idle_repro() -> Figure:
    """Time a ``dvc repro`` that has nothing to do but ``track``."""
    repro = python("-m", "dvc", "repro")
    repro()

    def idle() -> None:
        run = [line for line in repro().splitlines() if line.startswith("Running stage")]
        if run != ["Running stage 'track':"]:
            sys.exit(f"error: there was something to do: {run}")

    imports = python("-c", "import dvc.repo, mlflow")
    return in_turns(
        "dvc repro with nothing to do", idle, limits={"importing DVC and MLflow": imports}
    )


def stage_import(stage: str) -> Figure:
    """Time starting Python and importing a stage, next to the libraries of every stage."""
    return in_turns(
        f"importing stages.{stage}",
        python("-c", f"import stages.{stage}"),
        limits={"importing pandas, PyArrow, pydantic and DVC": python("-c", OF_EVERY_STAGE)},
    )


def figures() -> Iterator[Figure]:
    """Time commands in processes of their own, next to the imports that they can't do without.

    A result that is not up to date is computed first.
    """
    yield idle_repro()
    with TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(read_columns(paths.DATASET, "query", ("image",))["image"][0])
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
    for stage in STAGES:
        yield stage_import(stage)
