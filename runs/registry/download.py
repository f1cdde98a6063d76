"""Fetch the network of a registered model."""

from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from reid.common.errors import UserError, first_line
from runs.registry.versions import store_of_process
from runs.run_store import RunStore

SCHEME = "models:/"


def keras_file_of(model: str, root: Path, folder: Path) -> Path:
    """Download the ``.keras`` file of a registered model.

    Args:
        model: its address, such as ``models:/reid@champion`` or ``models:/reid/3``.
        root: the project's folder, whose tracking store has the registry.
        folder: the folder to download into.

    Raises:
        UserError: there is no store or no such model, or the model has no such file.
    """
    store = RunStore(root)
    try:
        with store_of_process(store.uri):
            place = Path(download_artifacts(model, dst_path=str(folder)))
    except MlflowException as e:
        raise UserError(f"{model} can't be fetched from {store.shown}: {first_line(e)}") from e
    found = sorted((place / "artifacts").glob("*.keras"))
    if not found:
        raise UserError(f"{model} holds no .keras file: an earlier version of this project made it")
    return found[0]
