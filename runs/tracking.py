"""The run of one result in MLflow, made from the pipeline's files."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, Metric, Param

from reid.data.paths import TRIPLET
from reid.data.protocols import ANY_CAMERA_FLAG, CROSS_CAMERA, protocol_of
from runs.one_run_per_result import (
    RESULT,
    RunIdentity,
    delete_duplicates,
    find_or_create,
    nameless,
)
from runs.params import flatten
from runs.tracking_store import alone, end, open_experiment, open_store, tracking_uri

logger = logging.getLogger(__name__)

ORIGIN = (
    *("git_commit", "mlflow.source.git.commit", "dvc_exp"),
    *("git_dirty", "git_changes", "params_changed"),
)
"""Tags that say where a result comes from; not every result has all of them."""
DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow's pages show as a run's description, in markdown."""
FACTS = ("queries", "queries_without_match", "gallery", "junk", "distractors", "people")
"""Facts about the test set among the metrics: the same for all models, and nothing to chart."""
TEST_SET = "test_set"
"""The group of parameters that ``FACTS`` become."""
REPEATED = ("reranked", ANY_CAMERA_FLAG)
"""Parameters that the metrics repeat."""
PROTOCOL = "protocol"
"""The tag that names the protocol if it is not ``cross_camera``."""


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


class Tracker:
    """The run of one fingerprint in the tracking store."""

    def __init__(self, identity: RunIdentity) -> None:
        """Find the run, or create it.

        Raises:
            UserError: the store's experiment was deleted, or the files of its runs are gone.
            Exception: the store can't be used; each kind of store raises errors of its own.
        """
        self.root = root = identity.root.resolve()
        self.store = tracking_uri(root)
        with alone(root):
            self.client = open_store(self.store)
            experiment_id = open_experiment(self.client, root)
            self.run, *self._others = find_or_create(self.client, experiment_id, identity)
        self.id = self.run.info.run_id

    def delete_others(self) -> None:
        """Delete other runs of the fingerprint, if there are any."""
        delete_duplicates(self.client, self.id, self._others)
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
