"""The tracking store for its readers: the runs of all results."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Run

from reid.common.errors import UserError, without_credentials
from runs.one_run_per_result import FINGERPRINT, RESULT
from runs.store_error import complaint
from runs.tracking_store import EXPERIMENT, end, find_experiment, sqlite_file, tracking_uri

LOCAL_HOST = "127.0.0.1"
"""The host at which ``make ui`` opens MLflow."""
SHORT = 8
"""The number of characters of a run's id that are shown."""
HINT = "Is MLFLOW_TRACKING_URI right, and is the server running?"
ARTIFACTS_HINT = "A store of artifacts may need a password or a package of its own."


def short(run_id: str) -> str:
    """Return a run's id as it is shown."""
    return run_id[:SHORT]


def is_finished(run: Run) -> bool:
    """Return whether a run holds a complete result."""
    return run.info.status == "FINISHED" and RESULT in run.data.tags


def fingerprint_of(run: Run) -> str:
    """Return the fingerprint of a run's result; empty if this project didn't make the run."""
    return str(run.data.tags.get(FINGERPRINT, ""))


class RunStore:
    """The runs of a project's tracking store, which must exist: nothing is created."""

    def __init__(self, root: Path) -> None:
        """Open the store that the pipeline in the folder ``root`` reports to.

        Raises:
            UserError: the store doesn't exist, can't be read or holds no results, or its
                experiment was deleted.
        """
        self.uri = tracking_uri(root)
        self.shown = without_credentials(self.uri)
        file = sqlite_file(self.uri)
        if file is not None and not file.is_file():
            raise UserError(f"{file} does not exist: no result was tracked yet. Run `dvc repro`.")
        with self._reached():
            self.client = MlflowClient(self.uri)
            experiment = find_experiment(self.client)
        if experiment is None:
            raise UserError(f"{self.shown} has no experiment {EXPERIMENT} yet. Run `dvc repro`.")
        self.experiment_id = experiment.experiment_id

    @contextmanager
    def _reached(self, hint: str = HINT) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        # Each kind of store and of artifacts raises errors of its own.
        except Exception as e:
            raise UserError(
                f"the tracking store {self.shown} can't be read ({complaint(e)}). {hint}"
            ) from e

    def runs(self) -> list[Run]:
        """Return all runs, the newest first."""
        found: list[Run] = []
        token = None
        with self._reached():
            while True:
                page = self.client.search_runs(
                    [self.experiment_id],
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                found += page
                token = page.token
                if not token:
                    return found

    def download(self, run: Run, place: str, destination: Path) -> Path:
        """Copy a run's artifacts at ``place`` into a folder, and return the copy's path.

        Raises:
            UserError: the store or the artifacts can't be read.
        """
        with self._reached(ARTIFACTS_HINT):
            if not self.client.list_artifacts(run.info.run_id, place):
                raise UserError(f"run {short(run.info.run_id)} carries no artifacts in {place}/.")
            return Path(self.client.download_artifacts(run.info.run_id, place, str(destination)))

    def kill(self, run_id: str) -> None:
        """Mark a run that nobody works on as KILLED."""
        with self._reached():
            end(self.client, run_id, "KILLED")

    def comparison_page(self, run_ids: Iterable[str], port: int) -> str:
        """Return the URL of MLflow's page that compares runs.

        ``port`` is that of ``make ui``, unless the store is on a server.
        """
        has_server = self.uri.startswith(("http://", "https://"))
        base = self.shown.rstrip("/") if has_server else f"http://{LOCAL_HOST}:{port}"
        runs = json.dumps(list(run_ids), separators=(",", ":"))
        query = f"runs={quote(runs)}&experiments={quote(json.dumps([self.experiment_id]))}"
        return f"{base}/#/compare-runs?{query}"
