"""One run of a sweep, and which run is the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reid.data.paths import TRIPLET
from reid.data.protocols import protocol_of, words_for
from reid.evaluation.figures import FIGURES

MODEL = TRIPLET
"""The model whose figures a sweep compares."""
SWEEP_FIGURES = {figure: FIGURES[figure] for figure in ("rank1", "mAP")}
"""The figures of a sweep's report and their headings."""
BEST_BY = "mAP"
"""It counts all right answers, so that it moves less by chance than rank-1."""


@dataclass
class SweepRun:
    """One combination of the grid, and its result once it has ended."""

    name: str
    changes: dict[str, str]
    """The parameters that the sweep sets, and their values."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The figures of ``MODEL``; empty if the run failed or has not ended."""
    error: str = ""
    """The reason of a failure."""
    seconds: float = 0.0
    """The duration of a run that has ended."""

    @property
    def is_finished(self) -> bool:
        """Whether the run has a result or has failed."""
        return bool(self.metrics or self.error)


def best_run(runs: Iterable[SweepRun]) -> SweepRun | None:
    """Return the run of the highest ``BEST_BY``, the first of equals; None without a result."""
    return max(
        (run for run in runs if run.metrics), key=lambda run: run.metrics[BEST_BY], default=None
    )


def ranked(runs: Iterable[SweepRun]) -> list[SweepRun]:
    """Sort the best run to the front and those without a result to the end."""
    return sorted(runs, key=lambda run: run.metrics.get(BEST_BY, -1.0), reverse=True)


def parameters(runs: Sequence[SweepRun]) -> list[str]:
    """Return the names of the parameters that a sweep changes."""
    return list(runs[0].changes)


def protocol_words(runs: Iterable[SweepRun]) -> str:
    """Return what titles say about the protocol of the figures: all runs have the same."""
    found = [run.metrics for run in runs if run.metrics]
    return words_for(protocol_of(found[0])) if found else ""
