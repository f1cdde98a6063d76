"""MLflow runs made from the pipeline's files: exactly one complete run per fingerprint."""

import logging
import os
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import pandas as pd
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import (
    DatasetInput,
    Experiment,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy.engine import make_url

from reid.common.errors import UserError, listed, without_credentials
from reid.common.files import replacing_file
from reid.data.paths import TEMPORARY, TRIPLET
from reid.data.protocols import ANY_CAMERA_FLAG, CROSS_CAMERA, protocol_of
from runs.params import flatten
from runs.run_identity import RunIdentity, nameless

logger = logging.getLogger(__name__)
for talkative in ("mlflow", "alembic"):
    logging.getLogger(talkative).setLevel(logging.WARNING)
# It logs each attempt to reach a server. One message about the outcome is enough.
logging.getLogger("urllib3").setLevel(logging.ERROR)

EXPERIMENT = "reid"
KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The tag by which MLflow's pages choose their view of an experiment, and its value for training.

Without the tag they may show the view for language models.
"""
FINGERPRINT, RESULT = "fingerprint", "result"
ORIGIN = (
    *("git_commit", "mlflow.source.git.commit", "dvc_exp"),
    *("git_dirty", "git_changes", "params_changed"),
)
"""Tags that say where a result comes from; not every result has all of them."""
DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow's pages show as a run's description, in markdown."""
SQLITE, SQLITE_DRIVER = "sqlite:///", "sqlite+pysqlite"
ARTIFACTS = "mlartifacts"
"""The folder of a project for the files of its runs, if no server keeps them."""
FACTS = ("queries", "queries_without_match", "gallery", "junk", "distractors", "people")
"""Facts about the test set among the metrics: the same for all models, and nothing to chart."""
TEST_SET = "test_set"
"""The group of parameters that ``FACTS`` become."""
REPEATED = ("reranked", ANY_CAMERA_FLAG)
"""Parameters that the metrics repeat."""
PROTOCOL = "protocol"
"""The tag that names the protocol if it is not ``cross_camera``."""
MOST_AT_ONCE = 100
"""How many runs of one fingerprint are looked at; there is more than one only by accident."""


@dataclass(frozen=True)
class PipelineResult:
    """The content of a finished pipeline's files."""

    digest: str
    """The hash of the metrics and histories: two results with one digest are the same."""
    params: Mapping[str, Any]
    """The parameters, nested as in ``params.yaml``."""
    metrics: Mapping[str, Mapping[str, float]]
    """The metrics of each model and of their comparison. Those in ``FACTS`` become parameters."""
    histories: Mapping[str, pd.DataFrame]
    """A table per model: one row per epoch, with the column ``epoch``; NaN is not logged."""
    cmc: Mapping[str, pd.DataFrame]
    """A table per model: columns ``rank``, which becomes the metric's step, and ``cmc``."""
    data: pd.DataFrame
    """The index of the training subset."""
    data_name: str
    data_md5: str
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """The files and folders, by their place in the run."""


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


def _client(uri: str) -> MlflowClient:
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


class Tracker:
    """The run of one fingerprint in the tracking store."""

    def __init__(self, identity: RunIdentity) -> None:
        """Find the run, or create it.

        Raises:
            UserError: the store's experiment was deleted, or the files of its runs are gone.
            Exception: the store can't be used; each kind of store raises errors of its own.
        """
        self.root = root = identity.root.resolve()
        self.store = uri = tracking_uri(root)
        with alone(root):
            self.client = _client(uri)
            experiment_id = self._experiment_id()
            runs = self._find(experiment_id, identity.fingerprint) or self._create(
                experiment_id, identity
            )
        self.run, *self._others = runs
        self.id = self.run.info.run_id

    def _experiment_id(self) -> str:
        """Return the id of the experiment that holds the runs; create it if it is missing."""
        experiment = find_experiment(self.client)
        if experiment is None:
            return self._create_experiment()
        if sqlite_file(self.store):
            _require_files(experiment, self.root)
        # MLflow's pages may have guessed a kind; a person's choice stays.
        kind = experiment.tags.get(KIND, "")
        if not kind or "inferred" in kind:
            self.client.set_experiment_tag(experiment.experiment_id, KIND, MODEL_TRAINING)
        return experiment.experiment_id

    def _create_experiment(self) -> str:
        place = None
        if not self.store.startswith(("http://", "https://")):
            # By default, the files would land below the working folder.
            files = self.root / ARTIFACTS
            files.mkdir(parents=True, exist_ok=True)
            place = files.as_uri()
        return self.client.create_experiment(EXPERIMENT, place, tags={KIND: MODEL_TRAINING})

    def _create(self, experiment_id: str, identity: RunIdentity) -> list[Run]:
        tags = {**identity.tags, **identity.origin(), FINGERPRINT: identity.fingerprint}
        created = self.client.create_run(experiment_id, run_name=identity.name, tags=tags)
        # Other machines that share a server don't wait for this one. All keep the first run.
        runs = self._find(experiment_id, identity.fingerprint) or [created]
        if runs[0].info.run_id == created.info.run_id:
            return runs
        self.client.delete_run(created.info.run_id)
        return [run for run in runs if run.info.run_id != created.info.run_id]

    def _find(self, experiment_id: str, fingerprint: str) -> list[Run]:
        """Return the runs of a fingerprint, the one to keep first: a finished one or the oldest."""
        found = self.client.search_runs(
            [experiment_id],
            f"tags.{FINGERPRINT} = '{fingerprint}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            max_results=MOST_AT_ONCE,
        )
        return sorted(found, key=lambda run: RESULT not in run.data.tags)

    def delete_others(self) -> None:
        """Delete other runs of the fingerprint, which machines that share a server may have made.

        A run is dated before the server has it, and a creation without an answer is repeated, so
        two machines may each have seen theirs alone. A machine that still reports to a deleted run
        finds the kept one at its next ``track``.
        """
        if self._others:
            for run in self._others:
                self.client.delete_run(run.info.run_id)
            logger.warning(
                "MLflow had other runs of the same inputs as run %s, which were deleted: %s",
                self.id,
                listed([run.info.run_id for run in self._others]),
            )
            self._others = []

    @property
    def is_finished(self) -> bool:
        """Whether the run held a complete result when it was found."""
        return RESULT in self.run.data.tags

    def holds(self, result: PipelineResult) -> bool:
        """Return whether the run held this very result when it was found, with equal metrics."""
        return self.run.data.tags.get(RESULT) == result.digest

    def log_epoch(self, model: str, row: Mapping[str, float]) -> None:
        """Log the figures of one epoch, among them its number as ``epoch``."""
        self.client.log_batch(self.id, metrics=_epoch_metrics(model, row))

    def mark(self, status: str) -> None:
        """Set the run's status: ``RUNNING`` or ``FINISHED``."""
        if status == "RUNNING":
            self.client.update_run(self.id, status=status)
        else:
            self.client.set_terminated(self.id, status)

    def log_file(self, path: Path, place: str) -> None:
        """Copy a file into a folder of the run's artifacts."""
        self.client.log_artifact(self.id, str(path), place)

    def kill(self, run_id: str) -> None:
        """Mark another run of the store as killed, if it is RUNNING."""
        end(self.client, run_id, "KILLED")

    @property
    def experiment(self) -> str:
        """The DVC experiment that the run named when it was found; empty if it named none."""
        return str(self.run.data.tags.get("dvc_exp", ""))

    def log_origin(self, identity: RunIdentity, description: str, pipeline: Path) -> None:
        """Log where the result comes from, in place of what was logged before.

        Since the run began, something may have been committed, or another experiment has repeated
        the one that began the run.

        Args:
            identity: the run's name and tags. A name that a person gave to the run stays.
            description: in markdown, for the run's page.
            pipeline: the folder of the files that travel with the run.
        """
        self.client.log_artifacts(self.id, str(pipeline), "pipeline")
        if self.run.info.run_name in (nameless(identity.fingerprint), self.experiment):
            self.client.update_run(self.id, name=identity.name)
        tags = {**identity.tags, **identity.origin()}
        for name in ORIGIN:
            if name in tags:
                self.client.set_tag(self.id, name, tags[name])
            elif name in self.run.data.tags:
                self.client.delete_tag(self.id, name)
        self.client.set_tag(self.id, DESCRIPTION, description)

    def origin(self) -> dict[str, str]:
        """Return the run's tags that say where its result comes from, of those in ``ORIGIN``."""
        tags = self.client.get_run(self.id).data.tags
        return {name: tags[name] for name in ORIGIN if name in tags}

    def complete(self, result: PipelineResult) -> None:
        """Log what the run lacks of a result; a run that is complete stays as it is."""
        if self.is_finished:
            if not self.holds(result):
                logger.warning(
                    "MLflow run %s of the same inputs has other metrics: it stays as it is. "
                    "Another CPU type or a changed library may be the cause.",
                    self.id,
                )
            elif self.run.info.status != "FINISHED":
                # The process was killed just before its last step.
                self.mark("FINISHED")
            return
        self._log_params({**result.params, TEST_SET: _facts(result.metrics)})
        self._log_metrics(result)
        self._log_data(result)
        for place, path in result.artifacts.items():
            if path.is_dir():
                self.client.log_artifacts(self.id, str(path), place)
            elif path.exists():
                self.client.log_artifact(self.id, str(path), place)
        protocol = protocol_of(result.metrics.get(TRIPLET, {}))
        if protocol != CROSS_CAMERA:
            self.client.set_tag(self.id, PROTOCOL, protocol)
        self.client.set_tag(self.id, RESULT, result.digest)
        self.mark("FINISHED")

    def _log_params(self, params: Mapping[str, Any]) -> None:
        # MLflow refuses to change a value, and 10.0 may be written as 10 now.
        missing = {k: v for k, v in flatten(params).items() if k not in self.run.data.params}
        self.client.log_batch(self.id, params=[Param(k, str(v)) for k, v in missing.items()])

    def _log_metrics(self, result: PipelineResult) -> None:
        wanted = [
            metric
            for model, history in result.histories.items()
            for _, row in history.iterrows()
            for metric in _epoch_metrics(model, row.dropna().to_dict())
        ]
        wanted += [
            Metric(f"{model}/cmc", float(share), _now(), int(rank))
            for model, curve in result.cmc.items()
            for rank, share in zip(curve["rank"], curve["cmc"], strict=True)
        ]
        wanted += [
            Metric(f"{model}/{key}", float(value), _now(), 0)
            for model, metrics in result.metrics.items()
            for key, value in metrics.items()
            if key not in (*FACTS, *REPEATED)
        ]
        there = {
            _as_logged(metric)
            for key in {metric.key for metric in wanted}
            for metric in self.client.get_metric_history(self.id, key)
        }
        missing = [metric for metric in wanted if _as_logged(metric) not in there]
        self.client.log_batch(self.id, metrics=missing)

    def _log_data(self, result: PipelineResult) -> None:
        context = InputTag("mlflow.data.context", "training")
        with warnings.catch_warnings():
            # MLflow warns about integer columns of a model's input; this table is none.
            warnings.simplefilter("ignore", UserWarning)
            dataset = from_pandas(
                result.data, source="data.dvc", name=result.data_name, digest=result.data_md5
            )
            logged = DatasetInput(dataset._to_mlflow_entity(), tags=[context])
        self.client.log_inputs(self.id, [logged])


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


def _as_logged(metric: Metric) -> tuple[str, int, str]:
    """Return what makes two metrics the same: live figures are rounded as in a history's file."""
    return metric.key, metric.step, f"{metric.value:.8g}"


def _now() -> int:
    return int(1000 * time())


def _facts(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {key: each[key] for each in metrics.values() for key in FACTS if key in each}


def _epoch_metrics(model: str, row: Mapping[Any, float]) -> list[Metric]:
    step = int(row["epoch"])
    return [
        Metric(f"{model}/{key}", float(value), _now(), step)
        for key, value in row.items()
        if key != "epoch"
    ]
