"""Fetch the network of a registered model."""

from pathlib import Path
from typing import NamedTuple

import yaml
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from reid.common.errors import UserError, first_line
from reid.inference.engine import FILES
from reid.serving.thresholds import THRESHOLDS
from runs.registry.versions import store_of_process
from runs.run_store import RunStore

SCHEME = "models:/"
META = "registered_model_meta"
"""The file in which MLflow notes the version that it downloaded."""
OLD = "an earlier version of this project made it"


class FetchedNetwork(NamedTuple):
    """The exported network of a registered model, downloaded."""

    folder: Path
    """The folder of the network."""
    thresholds: Path
    """The file of its thresholds, which a version from before there were any lacks."""
    address: str
    """The address of the version: an alias moves to others."""


def _downloaded(model: str, root: Path, folder: Path) -> Path:
    """Download a registered model into a folder. Return the place of its artifacts.

    Raises:
        UserError: there is no store or no such model.
    """
    store = RunStore(root)
    try:
        with store_of_process(store.uri):
            return Path(download_artifacts(model, dst_path=str(folder))) / "artifacts"
    except MlflowException as e:
        raise UserError(f"{model} can't be fetched from {store.shown}: {first_line(e)}") from e


def keras_file_of(model: str, root: Path, folder: Path) -> Path:
    """Download the ``.keras`` file of a registered model.

    Args:
        model: its address, such as ``models:/reid@champion`` or ``models:/reid/3``.
        root: the project's folder, whose tracking store has the registry.
        folder: the folder to download into.

    Raises:
        UserError: there is no store or no such model, or the model has no such file.
    """
    found = sorted(_downloaded(model, root, folder).glob("*.keras"))
    if not found:
        raise UserError(f"{model} holds no .keras file: {OLD}")
    return found[0]


def network_of(model: str, root: Path, folder: Path) -> FetchedNetwork:
    """Download the exported network of a registered model; arguments as for `keras_file_of`.

    Raises:
        UserError: there is no store or no such model, or the model holds no exported network.
    """
    artifacts = _downloaded(model, root, folder)
    found = [file.parent for name in FILES.values() for file in artifacts.glob(f"*/{name}")]
    if not found:
        raise UserError(f"{model} holds no exported network: {OLD}")
    meta = yaml.safe_load((artifacts.parent / META).read_text(encoding="utf-8"))
    return FetchedNetwork(
        folder=found[0],
        thresholds=artifacts.parent / THRESHOLDS,
        address=f"{SCHEME}{meta['model_name']}/{meta['model_version']}",
    )
