"""Measure time and memory of each stage: ``python -m benchmarks.pipeline`` in a clone with data.

Each stage is forced to run alone, in order. The time includes DVC's own work.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

DVC = (sys.executable, "-m", "dvc")
MIB = 1024
"""The KiB in a MiB: Linux counts the peak memory in KiB."""


class Spent(NamedTuple):
    """What a stage takes."""

    seconds: float
    of_processors: float
    """The seconds of all processors."""
    peak: float
    """The peak memory of its largest process, in MiB."""


def stage_names(project: Path) -> list[str]:
    """Return the stages in the order of ``dvc.yaml``, in which each finds its inputs."""
    command = [*DVC, "stage", "list", "--name-only"]
    listing = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    return listing.stdout.split()


def run_stage(name: str, project: Path) -> Spent:
    """Run a stage of a project and measure it."""
    command = [*DVC, "repro", "--single-item", "--force", name]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=project)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: {' '.join(command)} failed")
    seconds = time.monotonic() - began
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MIB)


def main() -> None:
    """Run all stages and print a table."""
    table = Table("stage", title=f"{os.cpu_count()} processors")
    for heading in ("seconds", "of a processor", "peak MiB"):
        table.add_column(heading, justify="right")
    for name in stage_names(Path()):
        table.add_row(name, *(f"{value:.0f}" for value in run_stage(name, Path())))
    Console().print(table)


if __name__ == "__main__":
    main()
