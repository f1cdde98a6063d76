"""The rule: the committed result comes out again, in bytes or within a tolerance.

Data stages give the same bytes everywhere. Models depend on the kind of processor, and the
figures with them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from reid.recurrence import COUNTS, MODELS, ROUNDING, TOLERANCE
from verify.result import Result

DATA_STAGES = ("ingest", "validate", "split")
FIGURES = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank10": "rank-10",
    "mAP": "mAP",
    "mAP_official": "mAP official",
    "mINP": "mINP",
}


@dataclass(frozen=True)
class Move:
    """One figure of one model, as committed and as it came out."""

    model: str
    figure: str
    """A key of ``FIGURES``."""
    committed: float
    came_out: float

    @property
    def by(self) -> float:
        """How far it moved; positive is better."""
        return self.came_out - self.committed

    @property
    def too_far(self) -> bool:
        """Whether it moved by more than ``TOLERANCE``, up or down."""
        return abs(self.by) > TOLERANCE + ROUNDING


@dataclass
class Comparison:
    """A result that came out beside the committed one."""

    moves: list[Move]
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
            f"{move.model} {FIGURES[move.figure]} moved by {100 * move.by:+.1f} points, "
            f"from {100 * move.committed:.1f} to {100 * move.came_out:.1f}"
            for move in self.moves
            if move.too_far
        ]

    @property
    def largest_move(self) -> float:
        """Of any figure, without its sign."""
        return max(abs(move.by) for move in self.moves)


def _differing(committed: dict[str, str], came_out: dict[str, str]) -> Iterator[str]:
    for name in {**committed, **came_out}:
        if committed.get(name) != came_out.get(name):
            yield name


def compare(committed: Result, came_out: Result) -> Comparison:
    """Compare what came out with what is committed."""
    comparison = Comparison(
        [
            Move(model, figure, committed.metrics[model][figure], came_out.metrics[model][figure])
            for model in MODELS
            for figure in FIGURES
        ],
        list(_differing(committed.inputs, came_out.inputs)),
    )
    makers = committed.makers | came_out.makers
    for path in _differing(committed.outputs, came_out.outputs):
        if makers[path] in DATA_STAGES:
            comparison.other_data.append(f"{makers[path]} gave other bytes: {path}")
        else:
            comparison.other_models.append(path)
    for model in MODELS:
        old, new = committed.metrics[model], came_out.metrics[model]
        comparison.other_data += [
            f"{model} {count} was {old[count]}, is {new[count]}"
            for count in COUNTS
            if old[count] != new[count]
        ]
    return comparison
