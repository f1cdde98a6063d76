"""All results of a project: what DVC and MLflow know of each, joined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reid.data.market import MARKET_NAMES
from reid.data.protocols import CROSS_CAMERA
from runs.known_results import (
    DATA,
    INCOMPLETE,
    WORKSPACE,
    Known,
    data_parameter,
    figures_among,
    known_to_dvc,
)
from runs.params import PROTOCOL
from runs.run_store import Run, fingerprint_of
from runs.tracking import TEST_SET

GALLERY, RERANKING = "ingest.gallery", "evaluate.reranking"
"""Parameters that decide, together with the data, how figures are measured."""
LATER_PARAMETERS = {
    "ingest.names": MARKET_NAMES,
    "ingest.person_0": "distractor",
    PROTOCOL: CROSS_CAMERA,
}
"""Other such parameters, with what held for results from before they existed."""
TO_PUBLISH = "`dvc exp apply` it and run `dvc repro`."
"""How a result of DVC gets a whole run in MLflow."""
BROKEN_OFF = ("killed", "failed")
"""The status of runs that have ended without a whole result."""


@dataclass(frozen=True)
class JoinedResult:
    """One result, from DVC, MLflow or both."""

    names: tuple[str, ...]
    """The DVC experiments, branches and commits that hold it, or else the name of its run."""
    place: Literal["both", "both, differ", "DVC", "MLflow"]
    """Who knows the result, and whether the two contradict each other."""
    run_id: str
    """The id of its MLflow run; empty if there is none."""
    run_name: str
    status: str
    fingerprint: str
    """Empty if it is not known yet, as for a queued experiment."""
    params: Mapping[str, str]
    """The parameters, and under ``DATA`` the beginning of the md5 of the data."""
    metrics: Mapping[str, float]
    """The figures of ``METRICS`` that are known: those of DVC's files, or else the run's."""
    run_metrics: Mapping[str, float] = field(default_factory=dict)
    """The figures of the run, if they contradict ``metrics``."""
    experiment: str = ""
    """The DVC experiment that made the run last; DVC may have removed it."""

    @property
    def known_params(self) -> Mapping[str, str]:
        """The parameters, with those of ``LATER_PARAMETERS`` also if the result is older."""
        return {**LATER_PARAMETERS, **self.params}

    @property
    def protocol(self) -> tuple[str, ...]:
        """What figures must share to be compared.

        That is the data, how people and cameras are read from names, the gallery, the protocol and
        the re-ranking.
        """
        names = [DATA, GALLERY]
        if self.params.get(f"{RERANKING}.use") == str(True):
            names += sorted(name for name in self.params if name.startswith(f"{RERANKING}."))
        return tuple(self.known_params.get(name, "") for name in (*names, *LATER_PARAMETERS))

    @property
    def is_published(self) -> bool:
        """Whether MLflow has all that DVC has, or will have once the stages have ended."""
        if self.status == INCOMPLETE:
            return False
        is_whole = bool(self.run_id) and self.status not in BROKEN_OFF
        return is_whole or self.place == "MLflow" or not self.metrics


def meant(results: Iterable[JoinedResult], text: str) -> list[JoinedResult]:
    """Return the results that a user means: by a name, or by the beginning of a run's id."""
    if not text:
        return []
    there = list(results)
    named = [r for r in there if text in (*r.names, r.run_name, r.experiment, r.run_id)]
    return named or [r for r in there if r.run_id.startswith(text)]


def all_results(root: Path, runs: Iterable[Run]) -> list[JoinedResult]:
    """Return every result of a project once.

    DVC knows the results of the workspace, of the last commit, and of all experiments with the
    commits that they were started from.
    """
    return joined(known_to_dvc(root), runs)


def joined(known: Iterable[Known], runs: Iterable[Run]) -> list[JoinedResult]:
    """Match results and runs by fingerprint.

    An unfinished experiment has no fingerprint yet: its name matches it with an unfinished run.

    Figures of one fingerprint may contradict each other, as those of the workspace and of a commit
    that was made on another CPU type: these are two results, and share the one run.
    """
    by_fingerprint: dict[str, list[Known]] = {}
    for one in known:
        by_fingerprint.setdefault(one.fingerprint or f"unfinished {one.name}", []).append(one)
    left = list(runs)
    results = []
    for group in by_fingerprint.values():
        run = next((run for run in left if _is_run_of(run, group[0])), None)
        if run:
            left.remove(run)
        results += [_result(agreeing, run) for agreeing in _agreeing(group)]
    return results + [_result([], run) for run in left]


def _agreeing(group: Iterable[Known]) -> list[list[Known]]:
    """Split what is known into parts whose figures do not contradict each other."""
    parts: list[list[Known]] = []
    for one in group:
        for part in parts:
            if not any(_contradict(other.metrics, one.metrics) for other in part):
                part.append(one)
                break
        else:
            parts.append([one])
    return parts


def _is_run_of(run: Run, known: Known) -> bool:
    if known.fingerprint:
        return fingerprint_of(run) == known.fingerprint
    return run.data.tags.get("dvc_exp") == known.name and run.info.status != "FINISHED"


def _result(group: list[Known], run: Run | None) -> JoinedResult:
    names = tuple(one.name for one in group)
    if len(names) > 1:
        names = tuple(name for name in names if name != WORKSPACE)
    known = group[0] if group else Known("", "")
    if run is None:
        return JoinedResult(
            names, "DVC", "", "", known.status, known.fingerprint, known.params, known.metrics
        )
    logged = figures_among(run.data.metrics)
    differ = _contradict(known.metrics, logged)
    return JoinedResult(
        names or (run.info.run_name,),
        "both, differ" if differ else "both" if group else "MLflow",
        run.info.run_id,
        run.info.run_name,
        INCOMPLETE if known.status == INCOMPLETE else run.info.status.lower(),
        fingerprint_of(run),
        _recipe(run) or known.params,
        known.metrics or logged,
        logged if differ else {},
        run.data.tags.get("dvc_exp", ""),
    )


def _contradict(ours: Mapping[str, float], logged: Mapping[str, float]) -> bool:
    """Say whether a figure that both have differs in the digits that histories keep."""
    return any(f"{ours[name]:.8g}" != f"{logged[name]:.8g}" for name in ours.keys() & logged.keys())


def _recipe(run: Run) -> dict[str, str]:
    """Return the parameters of a run, without the facts about its test set."""
    params: dict[str, str] = run.data.params
    chosen = {k: v for k, v in params.items() if not k.startswith(f"{TEST_SET}.")}
    return data_parameter(run.data.tags.get("data_md5")) | chosen if chosen else {}
