"""All figures of speed in one table: ``python -m benchmarks [GROUP...]``.

Run it in a clone with a result, after ``make repro``, on a machine with nothing else to do. Each
group runs in a process of its own. The figures are also written to ``bench.json``.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, figures_of

GROUPS = (
    "training",
    "portable_training",
    "extraction",
    "evaluation",
    "reranking",
    "ingest",
    "commands",
    "invocations",
)
FILE = Path("bench.json")


def in_own_process(group: str) -> list[Figure]:
    """Return the figures of a group, measured in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(figures_of, group).result()


def spread(times: Sequence[float]) -> str:
    """Return the median and the range of some times."""
    digits = 0 if max(times) >= 100 else 2 if max(times) < 10 else 1
    low, middle, high = min(times), median(times), max(times)
    if len(times) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def shown(figures: Sequence[Figure]) -> Table:
    """Show a row for each figure, and below it what it is compared with."""
    table = Table("", title=f"{processor()}, {os.cpu_count()} cores")
    table.add_column("unit")
    table.add_column("median (range)", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right")
    for figure in figures:
        table.add_row(figure.what, figure.unit, spread(figure.times), "", style="bold")
        for kind in (figure.peers, figure.limits):
            for name, times in kind.items():
                table.add_row(f"  {name}", "", spread(times), f"{figure.ratio(times):.2f}")
        table.add_section()
    return table


def processor() -> str:
    """Return the name of the processor."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main(groups: Sequence[str]) -> None:
    """Measure, write the file after each group, and print the table."""
    busy = psutil.cpu_percent(interval=2)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "in_use_before_%": busy,
        "commit": commit.stdout.strip(),
    }
    figures: list[Figure] = []
    for group in groups:
        figures += in_own_process(group)
        content = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
        FILE.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console = Console()
    console.print(shown(figures))
    console.print(
        "ratio: this project's time divided by the line's; below 1, this project is faster. "
        f"Before, {busy:.0f} % of the processor was in use."
    )


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(GROUPS)
    if unknown:
        sys.exit(f"error: {', '.join(sorted(unknown))}: the groups are {', '.join(GROUPS)}")
    main(sys.argv[1:] or GROUPS)
