"""Stage: complete the pipeline's MLflow run from its files. It runs at every ``dvc repro``."""

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
from filelock import Timeout

from reid.common.errors import UserError, without_credentials
from reid.data import paths
from reid.data.dataset import read_source, read_subset
from reid.sources.files import behind_links
from runs.checkpoints import checkpoint
from runs.declarations import all_params, tracked_md5
from runs.description import describe
from runs.dvc_experiment import kept_experiment, own_experiment
from runs.fingerprint import inputs_hash, is_up_to_date
from runs.liveness import end_abandoned, forget, hold, note
from runs.one_run_per_result import RunIdentity
from runs.origin import run_identity, worktree
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
    """Write nothing that DVC hashes; if the store can't be reached, warn and succeed."""
    _require_links_unchanged()
    if is_up_to_date():
        _discard_checkpoints()
        _track()
    else:
        logger.warning(
            "Parameters, code or data were edited after the stages ran, so their outputs are not "
            "the result of the present files, and no run is made of them. Run `dvc repro` again."
        )


def _require_links_unchanged() -> None:
    """Raise UserError if linked folders hold other files than those that ``ingest`` read."""
    if behind_links(paths.DATA) != read_source(paths.DATASET).get("behind_links", ""):
        raise UserError(
            f"{paths.DATA} holds links to folders, whose files are not those that `ingest` read. "
            "DVC doesn't look into such folders, so this result is of other photos: run "
            "`dvc repro --force ingest`, then `dvc repro`."
        )


def _discard_checkpoints() -> None:
    """Remove the checkpoints of both trainings: DVC has saved the models by now."""
    for name in paths.MODELS:
        kept = checkpoint(inputs_hash(f"train_{name}"))
        # If another experiment uses the checkpoint, it removes it at its own end.
        with suppress(Timeout), kept.alone(wait=False):
            kept.discard()


def _track() -> None:
    from runs.tracking import PipelineResult, Tracker  # noqa: PLC0415
    from runs.tracking_store import tracking_uri  # noqa: PLC0415
    from stages._registration import register  # noqa: PLC0415

    identity = run_identity()
    metrics = {name: paths.metrics_file(name) for name in (*paths.MODELS, paths.COMPARISON)}
    histories = {name: paths.history_file(paths.model_folder(name)) for name in paths.MODELS}
    params = all_params()
    chosen = params["extract"]["checkpoint"]
    result = PipelineResult(
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
        own = identity.fingerprint
        if not tracker.is_finished:
            # If nothing had to be trained, nothing is noted yet.
            hold(tracker.root, own)
            note(tracker.root, tracker.store, own, tracker.id)
            log_plots_page(tracker)
        experiment = _experiment(tracker)
        is_news = experiment and experiment != tracker.experiment
        if not tracker.is_finished or (is_news and tracker.holds(result)):
            identity = _of_experiment(identity, experiment)
            _log_origin(tracker, identity, experiment, result.data_md5)
        tracker.complete(result)
        forget(tracker.root, tracker.store, own)
    # Each kind of store and of artifacts raises errors of its own.
    except Exception as e:
        logger.warning(
            "The run in MLflow at %s can't be completed (%s). The result is safe in its files; "
            "the next `dvc repro` tries again.",
            without_credentials(tracking_uri(identity.root)),
            complaint(e),
        )
    else:
        logger.info("MLflow run %s is up to date", tracker.id)
        _end_abandoned(tracker)
        register(tracker, identity, result)


def _experiment(tracker: "Tracker") -> str:
    """Return the name of the DVC experiment that has the result; empty if none has.

    It need not be the experiment that runs now: a `dvc repro` may publish an experiment's result,
    and one experiment may repeat another.
    """
    own = own_experiment()
    if own and not tracker.is_finished:
        return own
    return kept_experiment(tracker.root, tracker.experiment) or own


def _of_experiment(identity: RunIdentity, experiment: str) -> RunIdentity:
    if not experiment:
        return identity
    return replace(identity, name=experiment, tags={**identity.tags, "dvc_exp": experiment})


def _log_origin(tracker: "Tracker", identity: RunIdentity, experiment: str, data_md5: str) -> None:
    """Log where the result comes from, with the files that travel with the run."""
    with TemporaryDirectory() as folder:
        worktree().write(Path(folder))
        description = describe(identity, experiment, worktree(), data_md5, tracker.id)
        tracker.log_origin(identity, description, Path(folder))


def _end_abandoned(tracker: "Tracker") -> None:
    """End the runs that other pipelines left behind; if that fails, warn and continue."""
    try:
        end_abandoned(tracker.root, tracker.store, tracker.kill)
    # Each kind of store raises errors of its own.
    except Exception as e:
        logger.warning(
            "Runs that nobody works on any more can't be ended (%s). The next `dvc repro` tries "
            "again.",
            complaint(e),
        )


if __name__ == "__main__":
    run(main)
