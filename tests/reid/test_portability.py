"""``processor: any``: the same bytes on processors of several kinds, emulated ones among them.

Each emulated processor takes 3 to 20 minutes, so this runs only when asked for:
``EMULATED=1 python -m pytest tests/reid/test_portability.py``.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support.places import ROOT

EMULATOR = "qemu-x86_64"
PROCESSORS = ("Haswell", "EPYC", "Skylake-Client-noTSX-IBRS")
"""Two makers, and three sizes of caches; none has AVX-512."""
PROGRAM = (sys.executable, "-m", "tests.support.portable_results")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(
        "EMULATED" not in os.environ, reason="takes up to an hour; EMULATED=1 runs it"
    ),
    pytest.mark.skipif(
        shutil.which(EMULATOR) is None,
        reason=f"there is no {EMULATOR}: `apt-get install qemu-user` installs it",
    ),
]


def results(*emulator: str) -> dict[str, str]:
    """Run the program on this processor or on an emulated one."""
    done = subprocess.run(
        [*emulator, *PROGRAM],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    """The results on this processor."""
    return results()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_all_results_have_the_same_bytes(processor: str, here: dict[str, str]) -> None:
    assert results(EMULATOR, "-cpu", processor) == here
