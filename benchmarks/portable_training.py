"""A step of the triplet model's training with the instructions that any processor has."""

import os
from collections.abc import Iterator

# PyTorch's own kernels read this when it is imported; those of oneDNN obey `use_instructions`.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"

from benchmarks.figures import Figure, in_turns
from benchmarks.training import STEPS, prepared


def figures() -> Iterator[Figure]:
    """Time a step, in a process of its own: instructions are chosen once in a process."""
    made = prepared("any")
    peers = {"PyTorch, limited to AVX2, too": made.torch_step}
    yield in_turns(made.what, made.step, peers, unit="ms", count=STEPS)
