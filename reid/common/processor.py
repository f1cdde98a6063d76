"""Choose the processor's instructions, before TensorFlow or OpenVINO is imported."""

import os
from typing import Literal

import numpy as np

Processor = Literal["any", "this"]
"""Whose instructions to use: those that any x86-64 processor with AVX2 has, or all of this one."""

INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA"
"""The variable that oneDNN reads once, in TensorFlow and in OpenVINO."""


def is_limited_to_avx2() -> bool:
    """Say whether oneDNN computes with AVX2: it may use no more, or the processor has no more."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", ())
    return os.environ.get(INSTRUCTIONS) == "AVX2" or ("X86_V3" in found and "X86_V4" not in found)


def use_instructions(processor: Processor) -> None:
    """Let oneDNN, the library of kernels of TensorFlow and OpenVINO, use these instructions.

    With those of ``any``, sums are added up in the same order everywhere, so that the results have
    the same bytes. A call after the import of TensorFlow or OpenVINO has no effect.
    """
    if processor == "any":
        os.environ[INSTRUCTIONS] = "AVX2"
    else:
        os.environ.pop(INSTRUCTIONS, None)
