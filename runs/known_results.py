"""All results that DVC knows: of the workspace, of commits and of experiments."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.repo import Repo
from dvc.repo.experiments.serialize import ExpState
from dvc.scm import SCMError

from reid.data.paths import MODELS
from reid.evaluation.figures import FIGURES
from runs.fingerprint import fingerprint, recorded_fingerprint
from runs.fingerprint_cache import CommitFingerprints
from runs.params import flatten

METRICS = tuple(f"{model}/{figure}" for model in MODELS for figure in FIGURES)
WORKSPACE = "workspace"
DATA = "data"
"""The name under which results have the beginning of the md5 of their data."""
INCOMPLETE = "incomplete"
"""The status of a result if some stages have not run with its parameters."""


@dataclass(frozen=True)
class Known:
    """A result as DVC knows it under one name."""

    name: str
    status: str
    fingerprint: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def known_to_dvc(root: Path) -> list[Known]:
    """Return what DVC knows of all results, the workspace's first."""
    with Repo(str(root)) as repo:
        try:
            states = repo.experiments.show(revs=["HEAD", *_baselines(repo)])
        except SCMError:  # nothing was committed yet
            return []
        fingerprints = CommitFingerprints(repo)
        found = [known for state in states for known in _known(repo, fingerprints, state)]
        fingerprints.remember()
        return found


def _baselines(repo: Repo) -> set[str]:
    """Return the commits that experiments were started from, those in DVC's queue included."""
    queue = repo.experiments.celery_queue
    queued = [
        *queue.iter_queued(),
        *queue.iter_active(),
        *(one.entry for one in queue.iter_failed()),
    ]
    return {*repo.experiments.ls(all_commits=True), *(entry.baseline_rev for entry in queued)}


def _known(repo: Repo, fingerprints: CommitFingerprints, state: ExpState) -> Iterator[Known]:
    if state.rev == WORKSPACE:
        current = recorded_fingerprint(repo)
        # Until all stages have run, the figures belong to other parameters.
        if current == fingerprint():
            yield from _finished(state, WORKSPACE, lambda: current)
        return
    yield from _finished(state, state.name or state.rev[:7], partial(fingerprints.of, state.rev))
    for experiment in state.experiments or []:
        last = experiment.revs[0]
        name = experiment.name or last.rev[:7]
        status = experiment.executor.state if experiment.executor else "success"
        if status == "success":
            yield from _finished(last, name, partial(fingerprints.of, last.rev))
        else:
            yield Known(name, status, params=_params(last))


def _finished(state: ExpState, name: str, key: Callable[[], str]) -> Iterator[Known]:
    """Yield what is known if there are figures; a commit that DVC can't read has none."""
    metrics = {
        f"{PurePosixPath(path).stem}/{figure}": value
        for path, content in (state.data.metrics if state.data else {}).items()
        for figure, value in content.get("data", {}).items()
    }
    figures = figures_among(metrics)
    if not figures:
        return
    if recorded := key():
        yield Known(name, "finished", recorded, _params(state), figures)
    else:
        yield Known(name, INCOMPLETE, params=_params(state))


def _params(state: ExpState) -> dict[str, str]:
    files: Iterable[Mapping[str, Any]] = state.data.params.values() if state.data else ()
    data = state.data.deps.get(DATA) if state.data else None
    return data_parameter(data.hash if data else None) | {
        key: str(value)
        for content in files
        for key, value in flatten(content.get("data", {})).items()
    }


def data_parameter(md5: str | None) -> dict[str, str]:
    """Return the beginning of the md5 of the data under its name; nothing if it is not known."""
    return {DATA: md5[:7]} if md5 else {}


def figures_among(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return those of ``METRICS`` that are known."""
    return {name: float(metrics[name]) for name in METRICS if name in metrics}
