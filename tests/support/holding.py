"""Another process that holds a lock until its input ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tests.support.places import ROOT


class Holder(NamedTuple):
    """The process, and both ends of the talk with it."""

    process: "subprocess.Popen[str]"
    input: IO[str]
    output: IO[str]


@contextmanager
def held(module: str, folder: Path) -> Iterator[Holder]:
    """Start a program of this folder that holds a lock, and wait until it has the lock.

    Args:
        module: the program, such as ``hold_index``.
        folder: its argument.
    """
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.support.{module}", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield Holder(process, process.stdin, process.stdout)
