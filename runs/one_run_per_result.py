"""One MLflow run per result: results with the same fingerprint are duplicates and share a run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reid.common.errors import listed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

FINGERPRINT, RESULT = "fingerprint", "result"
"""The tags of a run with its result's fingerprint and, once it is complete, its digest."""
MOST_AT_ONCE = 100
"""How many runs of one fingerprint are looked at; there is more than one only by accident."""


@dataclass(frozen=True)
class RunIdentity:
    """Which run of which store a result belongs to, and the run's name and tags."""

    root: Path
    """The project's folder, with the default store and its artifacts."""
    fingerprint: str
    """The hash of everything that determines the result."""
    name: str
    """The run's name, unless a person gives it another."""
    tags: Mapping[str, str]
    """The run's tags."""
    origin: Callable[[], Mapping[str, str]] = dict
    """A function that returns more tags; it takes a second."""


def nameless(fingerprint: str) -> str:
    """Return the name of a run whose result belongs to no DVC experiment."""
    return f"repro-{fingerprint[:7]}"


def find_or_create(
    client: "MlflowClient", experiment_id: str, identity: RunIdentity
) -> list["Run"]:
    """Return the runs of a result, the one to keep first; create one if there is none.

    Call it inside `runs.tracking_store.alone`, so that processes of one project come one by one.
    Other machines that share a server don't wait. So each looks again after it has created a run,
    and all keep the first.
    """
    if found := _runs_of(client, experiment_id, identity.fingerprint):
        return found
    tags = {**identity.tags, **identity.origin(), FINGERPRINT: identity.fingerprint}
    created = client.create_run(experiment_id, run_name=identity.name, tags=tags)
    runs = _runs_of(client, experiment_id, identity.fingerprint) or [created]
    if runs[0].info.run_id == created.info.run_id:
        return runs
    client.delete_run(created.info.run_id)
    return [run for run in runs if run.info.run_id != created.info.run_id]


def delete_duplicates(client: "MlflowClient", kept: str, others: Sequence["Run"]) -> None:
    """Delete the other runs of a result, which machines that share a server may have made.

    A run is dated before the server has it, and a creation without an answer is repeated, so two
    machines may each have seen theirs alone. A machine that still reports to a deleted run finds
    the kept one at its next ``track``.
    """
    if not others:
        return
    for run in others:
        client.delete_run(run.info.run_id)
    logger.warning(
        "MLflow had other runs of the same inputs as run %s, which were deleted: %s",
        kept,
        listed([run.info.run_id for run in others]),
    )


def _runs_of(client: "MlflowClient", experiment_id: str, fingerprint: str) -> list["Run"]:
    """Return the runs of a fingerprint, the one to keep first: a finished one or the oldest."""
    found = client.search_runs(
        [experiment_id],
        f"tags.{FINGERPRINT} = '{fingerprint}'",
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        max_results=MOST_AT_ONCE,
    )
    return sorted(found, key=lambda run: RESULT not in run.data.tags)
