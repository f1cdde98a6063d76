"""The tracking store of MLflow: where it is, and its experiment that holds the runs."""

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy.engine import make_url

from reid.common.errors import UserError, without_credentials
from reid.common.files import replacing_file
from reid.data.paths import TEMPORARY

for talkative in ("mlflow", "alembic"):
    logging.getLogger(talkative).setLevel(logging.WARNING)
# It logs each attempt to reach a server. One message about the outcome is enough.
logging.getLogger("urllib3").setLevel(logging.ERROR)

EXPERIMENT = "reid"
KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The tag by which MLflow's pages choose their view of an experiment, and its value for training.

Without the tag they may show the view for language models.
"""
SQLITE, SQLITE_DRIVER = "sqlite:///", "sqlite+pysqlite"
ARTIFACTS = "mlartifacts"
"""The folder of a project for the files of its runs, if no server keeps them."""


def tracking_uri(root: Path) -> str:
    """Return ``MLFLOW_TRACKING_URI``, or the URI of the project's own sqlite file.

    A relative sqlite path counts from the project's folder, also in a temporary experiment.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    file = sqlite_file(uri)
    return uri if file is None else _with_file(uri, root.resolve() / file)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let one process at a time into the block.

    Two processes that created the tables at once would both fail. Processes that share a sqlite
    file wait for each other, whatever their project. Those that share a server wait only for
    processes of the same project.
    """
    database = sqlite_file(tracking_uri(root))
    lock = root / TEMPORARY / "mlflow.lock"
    if database is not None:
        lock = database.with_name(f".{database.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a sqlite store; None for any other kind of store."""
    url = make_url(uri) if uri.startswith("sqlite") else None
    return Path(url.database) if url and url.database else None


def _with_file(uri: str, file: Path) -> str:
    """Return the URI of a sqlite store, with its options, for another file.

    A path with `%` or `?` has to be escaped. MLflow doesn't know that: it creates the folder of a
    file in a URI that begins with ``SQLITE``, as it is spelled there. The name of the driver keeps
    it from doing so.
    """
    url = make_url(uri).set(database=str(file))
    options = url.query and f"?{urlencode(url.query, doseq=True)}"
    plain = f"{SQLITE}{file}{options or ''}"
    if sqlite_file(plain) == file:
        return plain
    return url.set(drivername=SQLITE_DRIVER).render_as_string(hide_password=False)


def open_store(uri: str) -> MlflowClient:
    """Return a client of a tracking store; create the database of a missing sqlite store."""
    _create_database(uri)
    return MlflowClient(uri)


def _create_database(uri: str) -> None:
    """Create a missing sqlite store: whole, or, if the process is killed meanwhile, not at all."""
    database = sqlite_file(uri)
    if database is None or database.exists():
        return
    with replacing_file(database) as part:
        part.unlink(missing_ok=True)
        MlflowClient(_with_file(uri, part)).search_experiments(max_results=1)


def find_experiment(client: MlflowClient) -> Experiment | None:
    """Return MLflow's experiment that holds the runs; None if it was never created.

    Raises:
        UserError: it was deleted. MLflow then keeps its name and takes no run.
    """
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None and found.lifecycle_stage != LifecycleStage.ACTIVE:
        store = shlex.quote(without_credentials(client.tracking_uri))
        raise UserError(
            f"the experiment {EXPERIMENT} was deleted in MLflow; `MLFLOW_TRACKING_URI={store} "
            f"mlflow experiments restore --experiment-id {found.experiment_id}` restores it "
            "with its runs"
        )
    return found


def _require_files(experiment: Experiment, root: Path) -> None:
    """Raise UserError if the folder of the runs' files is gone, as after the project was moved.

    MLflow knows the folder by its full path and would create a new one at the old place.
    """
    if urlsplit(experiment.artifact_location).scheme not in ("", "file"):
        return
    folder = Path(local_file_uri_to_path(experiment.artifact_location))
    if folder != root / ARTIFACTS and not folder.exists():
        # If the whole project was moved, the folder that held it may be gone too.
        place = shlex.join(["mkdir", "-p", str(folder.parent)])
        link = f"{place} && {shlex.join(['ln', '-s', str(root / ARTIFACTS), str(folder)])}"
        raise UserError(
            f"the runs' files were in {folder}, which no longer exists. Was the project "
            f"moved? `{link}` lets MLflow find them"
        )


def open_experiment(client: MlflowClient, root: Path) -> str:
    """Return the id of the experiment that holds a project's runs; create it if it is missing.

    Raises:
        UserError: the experiment was deleted, or the files of its runs are gone.
    """
    experiment = find_experiment(client)
    if experiment is None:
        return _create_experiment(client, root)
    if sqlite_file(client.tracking_uri):
        _require_files(experiment, root)
    # MLflow's pages may have guessed a kind; a person's choice stays.
    kind = experiment.tags.get(KIND, "")
    if not kind or "inferred" in kind:
        client.set_experiment_tag(experiment.experiment_id, KIND, MODEL_TRAINING)
    return experiment.experiment_id


def _create_experiment(client: MlflowClient, root: Path) -> str:
    place = None
    if not client.tracking_uri.startswith(("http://", "https://")):
        # By default, the files would land below the working folder.
        files = root / ARTIFACTS
        files.mkdir(parents=True, exist_ok=True)
        place = files.as_uri()
    return client.create_experiment(EXPERIMENT, place, tags={KIND: MODEL_TRAINING})


def fail(root: Path, run_id: str) -> None:
    """Mark a run of the project's store as failed, if it is RUNNING."""
    end(MlflowClient(tracking_uri(root)), run_id, "FAILED")


def end(client: MlflowClient, run_id: str, status: str) -> None:
    """End a run that nobody works on any more, if it is RUNNING and was not deleted."""
    try:
        run = client.get_run(run_id).info
        if run.status == "RUNNING" and run.lifecycle_stage == LifecycleStage.ACTIVE:
            client.set_terminated(run_id, status)
    except MlflowException as e:
        if e.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
