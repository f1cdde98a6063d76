"""Measure ingest, validate and split at full size: ``python -m benchmarks.ingest PHOTOS.zip``.

``python -m reid draw market.zip --names NAMES`` draws such an archive from a list of file names.
"""

import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from reid.data.dataset import read_index, read_subset
from reid.preparation.ingest import ingest
from reid.preparation.sources import open_source
from reid.preparation.split import split
from stages._stage import declared
from stages.validate import Params, limits_of


def main() -> None:
    """Print the seconds of each step and the highest memory use so far."""
    from reid.checks.judge import check  # noqa: PLC0415

    console = Console()
    began = time.monotonic()

    def log(step: str, result: object) -> None:
        nonlocal began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        console.print(f"{step}: {time.monotonic() - began:.1f} s, peak {peak:.0f} MiB, {result}")
        began = time.monotonic()

    with TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        with open_source(Path(sys.argv[1])) as source:
            summary = ingest(source, dataset, "bounding_box_test")
        log("ingest", summary["images"])
        limits = limits_of(declared("validate", Params), summary)
        report = check(read_index(dataset), limits, Path(folder) / "docs")
        log("validate", report.summary)
        table = split(read_subset(dataset, "train"), "images", 0.2, seed=42)
        counts = table["fold"].value_counts().to_dict()
        log("split", f"{counts}, {table['label'].nunique()} labels")


if __name__ == "__main__":
    main()
