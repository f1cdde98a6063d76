"""Stage: bring the pipeline's MLflow run up to date from its files. Runs at every ``dvc repro``."""

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
import psutil
from dvc.utils.serialize import load_yaml
from filelock import Timeout

from reid.common.errors import without_credentials
from reid.data import paths
from reid.data.dataset import read_source, read_subset
from runs.description import describe
from runs.dvc_experiment import Experiment, kept_experiment, own_experiment
from runs.fingerprint import (
    checkpoint,
    inputs,
    is_up_to_date,
    run_identity,
    state,
    tracked_md5,
)
from runs.liveness import Worker, end_abandoned, forget, note, this_pipeline
from runs.run_identity import RunIdentity
from runs.store_error import complaint
from stages._plots_page import log_plots_page
from stages._stage import run

if TYPE_CHECKING:
    from runs.tracking import Tracker

logger = logging.getLogger(__name__)


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Write nothing that DVC hashes; without a reachable store, say so and succeed."""
    if is_up_to_date():
        _discard_states()
        _track()
    else:
        logger.warning(
            "Parameters, code or data were edited since the stages ran, so what they made is not "
            "the result of what is declared now, and no run is made of it. `dvc repro` goes on "
            "with the edit."
        )


def _discard_states() -> None:
    """Remove what a training would go on from: DVC has saved both models by now."""
    for name in paths.MODELS:
        kept = checkpoint(inputs(f"train_{name}"))
        # Another experiment that is at it removes it at its own end.
        with suppress(Timeout), kept.alone(wait=False):
            kept.discard()


def _track() -> None:
    from runs.tracking import Result, Tracker, tracking_uri  # noqa: PLC0415
    from stages._registration import register  # noqa: PLC0415

    identity = run_identity()
    metrics = {name: paths.metrics_file(name) for name in (*paths.MODELS, paths.COMPARISON)}
    histories = {name: paths.history_file(paths.model_folder(name)) for name in paths.MODELS}
    params = load_yaml(paths.PARAMS)
    chosen = params["extract"]["checkpoint"]
    result = Result(
        digest=_digest([*metrics.values(), *histories.values()]),
        params=params,
        metrics={name: json.loads(path.read_text("utf-8")) for name, path in metrics.items()},
        histories={name: pd.read_csv(path) for name, path in histories.items()},
        cmc={name: pd.read_csv(paths.cmc_file(paths.plots_folder(name))) for name in paths.MODELS},
        data=read_subset(paths.DATASET, "train"),
        data_name=read_source(paths.DATASET)["name"],
        data_md5=tracked_md5(str(paths.DATA)),
        artifacts={
            "plots": paths.PLOTS,
            "data_docs": paths.DATA_DOCS,
            "validation": paths.VALIDATION,
            **{
                str(paths.model_folder(name)): paths.network_file(paths.model_folder(name), chosen)
                for name in paths.MODELS
            },
        },
    )
    try:
        tracker = Tracker(identity)
        tracker.delete_others()
        if not tracker.is_finished:
            # Where nothing had to be trained, nothing is noted yet.
            note(tracker.root, tracker.store, tracker.id, Worker.of(psutil.Process()))
            log_plots_page(tracker)
        experiment = _experiment(tracker)
        is_news = experiment and experiment.name != tracker.experiment
        if not tracker.is_finished or (is_news and tracker.holds(result)):
            identity = _of_experiment(identity, experiment)
            _say_origin(tracker, identity, experiment, result.data_md5)
        tracker.bring_up_to_date(result)
        forget(tracker.root, tracker.store, tracker.id)
    # Each kind of store and of artifacts raises errors of its own.
    except Exception as e:
        logger.warning(
            "The run in MLflow at %s can't be brought up to date (%s). The result is safe in its "
            "files; the next `dvc repro` tries again.",
            without_credentials(tracking_uri(identity.root)),
            complaint(e),
        )
    else:
        logger.info("MLflow run %s is up to date", tracker.id)
        _end_abandoned(tracker)
        register(tracker, identity, result)


def _experiment(tracker: "Tracker") -> Experiment | None:
    """The experiment that the result is of: a `dvc repro` may publish it, and another repeat it."""
    own = own_experiment()
    if own and not tracker.is_finished:
        return own
    return kept_experiment(tracker.root, tracker.experiment) or own


def _of_experiment(identity: RunIdentity, experiment: Experiment | None) -> RunIdentity:
    if experiment is None:
        return identity
    tags = {**identity.tags, "dvc_exp": experiment.name}
    return replace(identity, name=experiment.name, tags=tags)


def _say_origin(
    tracker: "Tracker", identity: RunIdentity, experiment: Experiment | None, data_md5: str
) -> None:
    """Say all of it anew, with what travels with the run: it was here that the result came out."""
    with TemporaryDirectory() as folder:
        state().write(Path(folder))
        description = describe(identity, experiment, state(), data_md5, tracker.id)
        tracker.say_origin(identity, description, Path(folder))


def _end_abandoned(tracker: "Tracker") -> None:
    """End what other pipelines left behind; where that fails, this result is whole all the same."""
    try:
        end_abandoned(tracker.root, tracker.store, tracker.kill, this_pipeline())
    # Each kind of store raises errors of its own.
    except Exception as e:
        logger.warning(
            "Runs that nothing works on any more can't be ended (%s). The next `dvc repro` tries "
            "again.",
            complaint(e),
        )


if __name__ == "__main__":
    run(main)
