"""The rule: the committed result comes out again, in bytes or within a tolerance.

Data stages give the same bytes everywhere. Models depend on the kind of processor, and the
figures with them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan

from reid.evaluation.figures import FIGURES
from verify.recurrence import Recurrence, recurrences
from verify.result import Result

DATA_STAGES = ("ingest", "validate", "split")


@dataclass
class Comparison:
    """A result that came out beside the committed one."""

    figures: list[Recurrence]
    other_inputs: list[str] = field(default_factory=list)
    """Code, parameters or data that the committed ``dvc.lock`` does not know."""
    other_data: list[str] = field(default_factory=list)
    """Bytes of the data stages, and counts of the evaluation, that differ."""
    other_models: list[str] = field(default_factory=list)
    """Outputs of the other stages whose bytes differ."""

    @property
    def problems(self) -> list[str]:
        """Why the committed result did not come out again; empty where it did."""
        return self.other_data + [
            f"{figure.model} {FIGURES[figure.metric]} {_what_became_of(figure)}"
            for figure in self.figures
            if figure.verdict == "differs"
        ]

    @property
    def largest_move(self) -> float:
        """Of any figure, without its sign."""
        return max(abs(figure.moved) for figure in self.figures)


def _what_became_of(figure: Recurrence) -> str:
    if isnan(figure.before):
        return "came out and is not committed"
    if isnan(figure.now):
        return "is committed and did not come out"
    return (
        f"moved by {100 * figure.moved:+.1f} points, "
        f"from {100 * figure.before:.1f} to {100 * figure.now:.1f}"
    )


def _differing(committed: dict[str, str], came_out: dict[str, str]) -> Iterator[str]:
    for name in {**committed, **came_out}:
        if committed.get(name) != came_out.get(name):
            yield name


def compare(committed: Result, came_out: Result) -> Comparison:
    """Compare what came out with what is committed."""
    metrics = recurrences(committed.named_metrics, came_out.named_metrics)
    comparison = Comparison(
        [metric for metric in metrics if not metric.is_count],
        list(_differing(committed.inputs, came_out.inputs)),
    )
    makers = committed.makers | came_out.makers
    for path in _differing(committed.outputs, came_out.outputs):
        if makers[path] in DATA_STAGES:
            comparison.other_data.append(f"{makers[path]} gave other bytes: {path}")
        else:
            comparison.other_models.append(path)
    comparison.other_data += [
        f"{count.model} {count.metric} was {count.before:.0f}, is {count.now:.0f}"
        for count in metrics
        if count.is_count and count.verdict == "differs"
    ]
    return comparison
