"""Measure time and memory of each stage: ``python -m benchmarks.pipeline`` in a clone with data.

Each stage is forced to run alone, in order. The time includes DVC's own work.
"""

import os
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

DVC = (sys.executable, "-m", "dvc")
MIB = 1024
"""The KiB in a MiB: Linux counts the peak memory in KiB."""


def stage_names() -> list[str]:
    """Return the stages in the order of ``dvc.yaml``, in which each finds its inputs."""
    listing = subprocess.run(
        [*DVC, "stage", "list", "--name-only"], capture_output=True, text=True, check=True
    )
    return listing.stdout.split()


def run_stage(name: str) -> tuple[float, float, float]:
    """Run a stage and measure it.

    Returns:
        Its seconds, the seconds of all processors, and the peak memory of its largest process in
        MiB.
    """
    command = [*DVC, "repro", "--single-item", "--force", name]
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: {' '.join(command)} failed")
    seconds = time.monotonic() - began
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MIB


def main() -> None:
    """Run all stages and print a table."""
    table = Table("stage", title=f"{os.cpu_count()} processors")
    for heading in ("seconds", "of a processor", "peak MiB"):
        table.add_column(heading, justify="right")
    for name in stage_names():
        table.add_row(name, *(f"{value:.0f}" for value in run_stage(name)))
    Console().print(table)


if __name__ == "__main__":
    main()
