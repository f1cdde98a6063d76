"""Import faiss with fast matrix products; all other files import it from here."""

import os
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")

# faiss brings OpenBLAS 0.3.15. On processors with AVX-512 BF16, the kernels that it chooses by
# itself take about five times as long as those for other processors with AVX-512.
if CPU_FACTS.exists() and "avx512_bf16" in CPU_FACTS.read_text(encoding="utf-8"):
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

import faiss  # noqa: E402

__all__ = ["faiss"]
