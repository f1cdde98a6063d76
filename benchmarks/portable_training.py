"""A step of the triplet model's training with the instructions that any processor has."""

from collections.abc import Iterator

from benchmarks.figures import Figure, in_turns
from benchmarks.training import STEPS, prepared


def figures() -> Iterator[Figure]:
    """Time a step, in a process of its own: instructions are chosen once in a process."""
    made = prepared("any")
    peers = {"PyTorch, held to them, too": made.torch_step}
    yield in_turns(made.what, made.step, peers, unit="ms", count=STEPS)
