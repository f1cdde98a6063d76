"""The registered model ``reid`` in MLflow's registry: one version per fingerprint, one champion."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.entities import LoggedModelStatus, Metric
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS, MLFLOW_RUN_NOTE

from reid.common.errors import UserError, first_line
from reid.evaluation.ranking_file import RankedQueries, read_ranking
from runs.markdown import plain
from runs.one_run_per_result import FINGERPRINT, RESULT
from runs.params import flatten
from runs.registry.champion import Contender, Decision, decide
from runs.registry.model_card import MODEL_DESCRIPTION
from runs.tracking import Tracker
from runs.tracking_store import alone

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

    from reid.serving.packaging import Package

logger = logging.getLogger(__name__)

TRACKING_URI = "MLFLOW_TRACKING_URI"
REGISTERED, CHAMPION = "reid", "champion"
MODEL = "triplet"

PROTOCOL, DATA = "protocol", "data"
DECISION, REASON = "decision", "reason"
AGAINST, NOT_AGAINST = "compared_with", "not_compared_with"
PROMOTED, KEPT = "promoted", "kept"
"""Tags of a version, and the two values of its decision."""

NO_STEP = -1
"""A step at which no metric is logged.

MLflow's ``log_model`` takes all metrics of the run at a step for the model's, so with step 0 it
would show the baseline's figures on the page of this model.
"""


@dataclass(frozen=True)
class Submission:
    """A finished result, to be registered."""

    result_digest: str
    """The digest of the result, which its run must hold."""
    package: "Package"
    protocol: str
    """The `runs.registry.champion.protocol_digest` of the data that it was measured on."""
    data: str
    """A description of these data in words."""
    data_name: str
    data_md5: str
    figures: Mapping[str, float]
    """The model's figures, shares from 0 to 1, by their names in the metrics."""
    params: Mapping[str, Any]
    """The parameters, nested as in ``params.yaml``."""


class Registry:
    """The registered model, as seen from the version of one run's result.

    If the registry or its artifacts can't be used, methods raise the errors of that kind of store.
    """

    def __init__(self, tracker: Tracker, root: Path, fingerprint: str) -> None:
        """Use the tracker's store; ``root`` is the project's folder, where the lock is."""
        self.client = tracker.client
        self.run_id = tracker.id
        self.root = root
        self.fingerprint = fingerprint

    def is_settled(self) -> bool:
        """Return, quickly, whether the result has a version and nothing is left to decide."""
        version = self._version()
        return version is not None and not self._is_open(version)

    def settle(self, submission: Submission) -> None:
        """Register the result if it has no version, and decide on the champion if that is open.

        If the run holds another result, nothing is registered or decided.
        """
        with alone(self.root):
            # On another CPU type the figures differ: the version is that of the run.
            if not self._run_holds(submission.result_digest):
                return
            version = self._version() or self._create(submission)
            if self._is_open(version):
                self._judge(version, submission)

    def _version(self) -> "ModelVersion | None":
        found = self.client.search_model_versions(
            f"name = '{REGISTERED}' and tags.{FINGERPRINT} = '{self.fingerprint}'",
            order_by=["version_number ASC"],
            max_results=1,
        )
        return found[0] if found else None

    def _champion(self) -> "ModelVersion | None":
        named = self.client.get_registered_model(REGISTERED).aliases.get(CHAMPION)
        return self.client.get_model_version(REGISTERED, named) if named else None

    def _is_open(self, version: "ModelVersion") -> bool:
        """Return whether the decision on a version is still to be made, or to be made again.

        A version that could not be compared with the champion of its time is judged again if a
        person has named another champion that it can be compared with.
        """
        if DECISION not in version.tags:
            return True
        if version.tags[DECISION] == PROMOTED or AGAINST in version.tags:
            return False
        champion = self._champion()
        if champion is None:
            return True
        is_another = str(champion.version) != version.tags.get(NOT_AGAINST)
        return is_another and version.tags[PROTOCOL] == champion.tags.get(PROTOCOL)

    def _run_holds(self, digest: str) -> bool:
        return self.client.get_run(self.run_id).data.tags.get(RESULT) == digest

    def _create(self, submission: Submission) -> "ModelVersion":
        """Register the run's model; the tags come with the version, so that it is found again."""
        self._require_registered_model()
        logged = self._logged_model(submission)
        tags = {
            "data_md5": submission.data_md5,
            "rank1": f"{submission.figures['rank1']:.4f}",
            "mAP": f"{submission.figures['mAP']:.4f}",
            FINGERPRINT: self.fingerprint,
            PROTOCOL: submission.protocol,
            DATA: submission.data,
        }
        with store_of_process(self.client.tracking_uri):
            version = self.client.create_model_version(
                REGISTERED,
                source=f"models:/{logged.model_id}",
                run_id=self.run_id,
                model_id=logged.model_id,
                description=submission.package.card,
                tags=tags,
            )
        # Other machines that share a server don't wait for this one. All keep the first version.
        first = self._version() or version
        if first.version != version.version:
            self.client.delete_model_version(REGISTERED, version.version)
            if first.source != version.source:
                self.client.delete_logged_model(logged.model_id)
            return first
        # Without this tag, the model's own page offers to register the model.
        registered = [{"name": version.name, "version": version.version}]
        self.client.set_logged_model_tags(
            logged.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(registered)}
        )
        return version

    def _logged_model(self, submission: Submission) -> "LoggedModel":
        """Log the model with its run, unless an earlier registration did so before it failed."""
        experiment = self.client.get_run(self.run_id).info.experiment_id
        found = self.client.search_logged_models(
            [experiment], f"source_run_id = '{self.run_id}' AND name = '{MODEL}'"
        )
        for logged in found:
            if logged.status == LoggedModelStatus.READY:
                return logged
        # A process that was killed, or lost its server, has left half a model.
        for half in found:
            self.client.delete_logged_model(half.model_id)
        logged = self.client.create_logged_model(
            experiment,
            name=MODEL,
            source_run_id=self.run_id,
            model_type="embedding",
            params={key: str(value) for key, value in flatten(submission.params).items()},
            tags={MLFLOW_RUN_NOTE: submission.package.card},
        )
        self._log_figures(logged, submission)
        # The import takes half a second, which a `dvc repro` with nothing to do doesn't spend.
        from mlflow.models import Model  # noqa: PLC0415

        from reid.serving import packaging  # noqa: PLC0415

        # The last step of `log` sets the model READY.
        with store_of_process(self.client.tracking_uri):
            Model.log(
                None,
                packaging,
                run_id=self.run_id,
                model_id=logged.model_id,
                step=NO_STEP,
                package=submission.package,
                validate_serving_input=False,
            )
        return logged

    def _log_figures(self, logged: "LoggedModel", submission: Submission) -> None:
        """Log which of the run's metrics are this model's, and on which data."""
        metrics = [
            Metric(
                metric.key,
                metric.value,
                metric.timestamp,
                metric.step,
                model_id=logged.model_id,
                dataset_name=submission.data_name,
                dataset_digest=submission.data_md5,
                run_id=self.run_id,
            )
            for figure in submission.figures
            for metric in self.client.get_metric_history(self.run_id, f"{MODEL}/{figure}")
        ]
        self.client.log_batch(self.run_id, metrics)

    def _require_registered_model(self) -> None:
        if not self.client.search_registered_models(f"name = '{REGISTERED}'"):
            self.client.create_registered_model(REGISTERED, description=MODEL_DESCRIPTION)

    def _judge(self, version: "ModelVersion", submission: Submission) -> None:
        """Move the alias or leave it, and write the decision and its reason on the version."""
        while True:
            champion = self._champion()
            decision = self._decision(version, champion, submission)
            # The reason comes first: if a promotion is cut off, its reason couldn't be found later.
            self._write_reason(version, decision)
            if not decision.promoted or self._promote(version, champion):
                break
        said = f"{_headline(decision)}, because {plain(decision.reason)}."
        self.client.update_model_version(
            REGISTERED, version.version, f"{said}\n\n{submission.package.card}"
        )
        # The decision comes last: an interrupted one is missing and is made again.
        decided = PROMOTED if decision.promoted else KEPT
        self.client.set_model_version_tag(REGISTERED, version.version, DECISION, decided)
        logger.info(
            "Model %s version %s: %s, because %s",
            REGISTERED,
            version.version,
            _headline(decision).lower(),
            decision.reason,
        )

    def _promote(self, version: "ModelVersion", champion: "ModelVersion | None") -> bool:
        """Move the alias; return False if the champion that was judged against has changed.

        Other machines that share a server don't wait for this one, and MLflow can't move an alias
        on a condition. So the alias is read just before and just after.
        """
        now = self._champion()
        if (now and now.version) != (champion and champion.version):
            return False
        self.client.set_registered_model_alias(REGISTERED, CHAMPION, version.version)
        now = self._champion()
        return now is not None and now.version == version.version

    def _write_reason(self, version: "ModelVersion", decision: Decision) -> None:
        """Write the reason and the comparison that it rests on, in place of an earlier decision."""
        tags = {
            DECISION: None,
            REASON: decision.reason,
            AGAINST: decision.compared_with,
            NOT_AGAINST: decision.not_compared_with,
        }
        for key, value in tags.items():
            if value is None:
                self.client.delete_model_version_tag(REGISTERED, version.version, key)
            else:
                self.client.set_model_version_tag(REGISTERED, version.version, key, value)

    def _decision(
        self, version: "ModelVersion", champion: "ModelVersion | None", submission: Submission
    ) -> Decision:
        if champion is not None and champion.version == version.version:
            if REASON in champion.tags and champion.tags.get(DECISION) != KEPT:
                # The promotion was cut off, or another machine has just made it.
                return Decision(True, champion.tags[REASON], champion.tags.get(AGAINST))
            return Decision(True, "the alias was on it already")
        if champion is None:
            rival, ranking = None, None
        elif champion.tags.get(PROTOCOL) == version.tags[PROTOCOL]:
            rival = _contender(champion, self._ranking_of(champion))
            ranking = read_ranking(submission.package.ranking)
        else:
            rival, ranking = _contender(champion, None), None
        resamples, seed = submission.params["evaluate"]["resamples"], submission.params["seed"]
        return decide(_contender(version, ranking), rival, resamples, seed)

    def _ranking_of(self, version: "ModelVersion") -> RankedQueries | None:
        """Return the ranking that was registered with a version; None if it is gone or damaged.

        If the store can't be reached, its error is raised: a decision made on None is final.
        """
        from mlflow.artifacts import download_artifacts, list_artifacts  # noqa: PLC0415

        from reid.serving.packaging import RANKING  # noqa: PLC0415

        place = self.client.get_model_version_download_uri(REGISTERED, version.version)
        there = list_artifacts(place, tracking_uri=self.client.tracking_uri)
        if RANKING not in {PurePosixPath(file.path).name for file in there}:
            logger.warning("Version %s no longer has its %s", version.version, RANKING)
            return None
        with TemporaryDirectory() as folder:
            file = download_artifacts(
                f"{place}/{RANKING}", dst_path=folder, tracking_uri=self.client.tracking_uri
            )
            try:
                return read_ranking(Path(file))
            except UserError as e:
                logger.warning(
                    "The ranking of version %s can't be read: %s", version.version, first_line(e)
                )
                return None


@contextmanager
def store_of_process(uri: str) -> Iterator[None]:
    """Set the process's store, which MLflow's `log_model` and `models:/` addresses use.

    MLflow's pages link a version that has such an address with its model.
    """
    before = os.environ.get(TRACKING_URI)
    os.environ[TRACKING_URI] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ[TRACKING_URI]
        else:
            os.environ[TRACKING_URI] = before


def _contender(version: "ModelVersion", ranking: RankedQueries | None) -> Contender:
    # A version that somebody registered by hand has no such tags.
    return Contender(
        version.version,
        version.tags.get(PROTOCOL, ""),
        version.tags.get(DATA, "unknown data"),
        ranking,
    )


def _headline(decision: Decision) -> str:
    return "Promoted to champion" if decision.promoted else "The champion was kept"
