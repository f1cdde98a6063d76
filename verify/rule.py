"""The rule: the committed result is reproduced, to the byte or within a tolerance.

If the committed parameters make a result portable, all stages give the same bytes everywhere. If
not, only the data stages do: models, and with them the figures, depend on the CPU type.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan

from reid.common.errors import listed
from reid.data.protocols import CROSS_CAMERA, Protocol
from reid.evaluation.figures import FIGURES
from verify.recurrence import Recurrence, recurrences
from verify.result import ResultFiles

DATA_STAGES = ("ingest", "validate", "split")


@dataclass
class Judgement:
    """How a new result differs from the committed one."""

    figures: list[Recurrence]
    is_portable: bool = False
    """Whether the committed result must have the same bytes on each CPU type."""
    protocol: Protocol = CROSS_CAMERA
    """The protocol of the committed figures."""
    other_inputs: list[str] = field(default_factory=list)
    """The code, parameters and data that differ from what the committed ``dvc.lock`` records."""
    other_data: list[str] = field(default_factory=list)
    """The outputs of the data stages and the counts of the evaluation that differ, in words."""
    other_models: list[str] = field(default_factory=list)
    """The outputs of the other stages whose bytes differ."""

    @property
    def problems(self) -> list[str]:
        """The reasons why the committed result was not reproduced; empty if it was."""
        accepted = ("equal",) if self.is_portable else ("equal", "within")
        figures = [
            f"{figure.model} {FIGURES[figure.metric]} {_what_became_of(figure)}"
            for figure in self.figures
            if figure.verdict not in accepted
        ]
        return self.other_data + (self._other_bytes if self.is_portable else []) + figures

    @property
    def _other_bytes(self) -> list[str]:
        others = [f"{path} has other bytes" for path in self.other_models]
        if not self.other_inputs:
            return others
        differ = "differs" if len(self.other_inputs) == 1 else "differ"
        inputs = listed(self.other_inputs, limit=5)
        return [f"{inputs} {differ} from what the committed dvc.lock records", *others]

    @property
    def largest_move(self) -> float:
        """The largest move of any figure, without its sign."""
        return max(abs(figure.moved) for figure in self.figures)


def _what_became_of(figure: Recurrence) -> str:
    if isnan(figure.before):
        return "is in the new result and not in the committed one"
    if isnan(figure.now):
        return "is in the committed result and not in the new one"
    return (
        f"moved by {100 * figure.moved:+.1f} points, "
        f"from {100 * figure.before:.1f} to {100 * figure.now:.1f}"
    )


def _differing(committed: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    for name in {**committed, **new}:
        if committed.get(name) != new.get(name):
            yield name


def judge(committed: ResultFiles, new: ResultFiles) -> Judgement:
    """Compare a new result with the committed one."""
    metrics = recurrences(committed.named_metrics, new.named_metrics)
    judgement = Judgement(
        [metric for metric in metrics if not metric.is_count],
        committed.is_portable,
        committed.protocol,
        list(_differing(committed.inputs, new.inputs)),
    )
    makers = committed.makers | new.makers
    for path in _differing(committed.outputs, new.outputs):
        if makers[path] in DATA_STAGES:
            judgement.other_data.append(f"{makers[path]} gave other bytes: {path}")
        else:
            judgement.other_models.append(path)
    judgement.other_data += [
        f"{count.model} {count.metric} was {count.before:.0f}, is {count.now:.0f}"
        for count in metrics
        if count.is_count and count.verdict == "differs"
    ]
    if committed.protocol != new.protocol:
        judgement.other_data.append(
            f"the figures were measured by the protocol {committed.protocol}, and are now measured "
            f"by {new.protocol}"
        )
    return judgement
