"""The choice of instructions is what oneDNN reads."""

import os

import numpy as np
import pytest

from reid.common.processor import INSTRUCTIONS, is_limited_to_avx2, use_instructions


def test_any_processor_gets_avx2_and_this_one_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INSTRUCTIONS, "SSE41")
    use_instructions("any")
    assert os.environ[INSTRUCTIONS] == "AVX2"
    assert is_limited_to_avx2()
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": {}})
    assert is_limited_to_avx2()
    use_instructions("this")
    assert not is_limited_to_avx2()
    assert INSTRUCTIONS not in os.environ
