"""All results of a project: what DVC knows of each and what MLflow knows, joined."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from dvc.repo import Repo
from dvc.scm import SCMError

from experiments.fingerprints import CommitFingerprints
from reid.data.paths import MODELS
from reid.evaluation.figures import FIGURES
from runs.fingerprint import fingerprint, recorded_fingerprint
from runs.run_store import Run, fingerprint_of
from runs.tracking import TEST_SET, flatten

if TYPE_CHECKING:
    from dvc.repo.experiments.serialize import ExpState

METRICS = tuple(f"{model}/{figure}" for model in MODELS for figure in FIGURES)
WORKSPACE = "workspace"
DATA = "data"
GALLERY, RERANKING = "ingest.gallery", "evaluate.reranking"
"""Parameters that decide with the data what figures are measured on, and how."""
TO_PUBLISH = "`dvc exp apply` it and run `dvc repro`."
"""Of what DVC has: how it comes by a whole run."""
BROKEN_OFF = ("killed", "failed")
"""Status of runs that nothing works on any more and that hold no whole result."""


@dataclass(frozen=True)
class Known:
    """What DVC knows of a result under one name."""

    name: str
    status: str
    fingerprint: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One result, wherever it is known."""

    names: tuple[str, ...]
    """DVC experiments, branches and commits that hold it; without any, its run's name."""
    place: Literal["both", "both, differ", "DVC", "MLflow"]
    run_id: str
    """Empty where MLflow has no run."""
    run_name: str
    status: str
    fingerprint: str
    """Empty where it is not known yet, as of a queued experiment."""
    params: Mapping[str, str]
    """What was chosen: the parameters, and as ``DATA`` the beginning of the data's md5."""
    metrics: Mapping[str, float]
    """Those of ``METRICS`` that are there: where DVC has them, by its files."""
    run_metrics: Mapping[str, float] = field(default_factory=dict)
    """Those that the run has, where they are others."""
    experiment: str = ""
    """The DVC experiment that its run was made by last; DVC may have it no more."""

    @property
    def protocol(self) -> tuple[str, ...]:
        """What figures must have in common to be compared: data, gallery and re-ranking."""
        names = [DATA, GALLERY]
        if self.params.get(f"{RERANKING}.use") == str(True):
            names += sorted(name for name in self.params if name.startswith(f"{RERANKING}."))
        return tuple(self.params.get(name, "") for name in names)

    @property
    def is_published(self) -> bool:
        """Whether MLflow has all that DVC has of it, or will have when its stages have ended."""
        is_whole = bool(self.run_id) and self.status not in BROKEN_OFF
        return is_whole or self.place == "MLflow" or not self.metrics


def meant(results: Iterable[Result], text: str) -> list[Result]:
    """The results that a user means: by a name, or else by the beginning of their runs' ids."""
    if not text:
        return []
    there = list(results)
    named = [r for r in there if text in (*r.names, r.run_name, r.experiment, r.run_id)]
    return named or [r for r in there if r.run_id.startswith(text)]


def all_results(root: Path, runs: Iterable[Run]) -> list[Result]:
    """Every result of a project once.

    DVC's are those of the workspace, the last commit, and all experiments with the commits that
    they were started from.
    """
    return joined(known_to_dvc(root), runs)


def joined(known: Iterable[Known], runs: Iterable[Run]) -> list[Result]:
    """Join by fingerprint; an experiment that has none yet by its name, with a run that goes on."""
    by_fingerprint: dict[str, list[Known]] = {}
    for one in known:
        by_fingerprint.setdefault(one.fingerprint or f"unfinished {one.name}", []).append(one)
    left = list(runs)
    results = []
    for group in by_fingerprint.values():
        run = next((run for run in left if _is_run_of(run, group[0])), None)
        if run:
            left.remove(run)
        results.append(_result(group, run))
    return results + [_result([], run) for run in left]


def _is_run_of(run: Run, known: Known) -> bool:
    if known.fingerprint:
        return fingerprint_of(run) == known.fingerprint
    return run.data.tags.get("dvc_exp") == known.name and run.info.status != "FINISHED"


def _result(group: list[Known], run: Run | None) -> Result:
    names = tuple(one.name for one in group)
    if len(names) > 1:
        names = tuple(name for name in names if name != WORKSPACE)
    if run is None:
        one = group[0]
        return Result(names, "DVC", "", "", one.status, one.fingerprint, one.params, one.metrics)
    logged = _figures(run.data.metrics)
    differing = next((one for one in group if _contradict(one.metrics, logged)), None)
    known = differing or (group[0] if group else Known("", ""))
    return Result(
        names or (run.info.run_name,),
        "both, differ" if differing else "both" if group else "MLflow",
        run.info.run_id,
        run.info.run_name,
        run.info.status.lower(),
        fingerprint_of(run),
        _recipe(run) or known.params,
        known.metrics or logged,
        logged if differing else {},
        run.data.tags.get("dvc_exp", ""),
    )


def _contradict(ours: Mapping[str, float], logged: Mapping[str, float]) -> bool:
    """Whether a figure that both have is another one, at the digits that histories keep."""
    return any(f"{ours[name]:.8g}" != f"{logged[name]:.8g}" for name in ours.keys() & logged.keys())


def _recipe(run: Run) -> dict[str, str]:
    """What was chosen, without what the run says of its test set."""
    params: dict[str, str] = run.data.params
    chosen = {k: v for k, v in params.items() if not k.startswith(f"{TEST_SET}.")}
    return _of_data(run.data.tags.get("data_md5")) | chosen if chosen else {}


def _of_data(md5: str | None) -> dict[str, str]:
    return {DATA: md5[:7]} if md5 else {}


def _figures(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(metrics[name]) for name in METRICS if name in metrics}


def known_to_dvc(root: Path) -> list[Known]:
    """What DVC knows of all results, the workspace's first."""
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
    """Commits that experiments were started from: ended ones, and what the queue holds."""
    queue = repo.experiments.celery_queue
    queued = [
        *queue.iter_queued(),
        *queue.iter_active(),
        *(one.entry for one in queue.iter_failed()),
    ]
    return {*repo.experiments.ls(all_commits=True), *(entry.baseline_rev for entry in queued)}


def _known(repo: Repo, fingerprints: CommitFingerprints, state: "ExpState") -> Iterator[Known]:
    if state.rev == WORKSPACE:
        current = recorded_fingerprint(repo)
        # While stages still wait to be run, its figures belong to other parameters.
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


def _finished(state: "ExpState", name: str, key: Callable[[], str]) -> Iterator[Known]:
    """What is known where there are figures; a commit that DVC can't read has none."""
    metrics = {
        f"{PurePosixPath(path).stem}/{figure}": value
        for path, content in (state.data.metrics if state.data else {}).items()
        for figure, value in content.get("data", {}).items()
    }
    figures = _figures(metrics)
    if figures:
        yield Known(name, "finished", key(), _params(state), figures)


def _params(state: "ExpState") -> dict[str, str]:
    files: Iterable[Mapping[str, Any]] = state.data.params.values() if state.data else ()
    data = state.data.deps.get(DATA) if state.data else None
    return _of_data(data.hash if data else None) | {
        key: str(value)
        for content in files
        for key, value in flatten(content.get("data", {})).items()
    }
