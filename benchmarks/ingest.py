"""Time ingest on the photos of ``data/``, and ingest, validate and split at full size.

The first is a group of ``python -m benchmarks``; ``python -m benchmarks.ingest PHOTOS.zip`` is the
second. ``python -m reid draw market.zip --names NAMES`` draws such an archive from a list of
file names.
"""

import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.figures import Figure, in_turns
from reid.data import paths
from reid.data.dataset import read_columns, read_index, read_subset
from reid.data.images import photo_facts
from reid.data.market import SUBSETS
from reid.preparation.ingest import ingest
from reid.preparation.split import split
from reid.sources.source import open_source
from stages._stage import declared
from stages.validate import Params, limits_of


def figures() -> Iterator[Figure]:
    """Time ``ingest``, from the archive to the parquet files."""
    photos = [
        photo
        for subset in SUBSETS
        for photo in read_columns(paths.DATASET, subset, ("image",))["image"]
    ]
    with TemporaryDirectory() as folder:

        def ingested() -> None:
            with open_source(Path(paths.DATA)) as source:
                ingest(source, Path(folder) / "dataset", "bounding_box_test")

        def decoded() -> None:
            with ThreadPoolExecutor() as pool:
                for _ in pool.map(photo_facts, photos):
                    pass

        yield in_turns(
            f"ingesting {len(photos):,} photos", ingested, limits={"decoding alone": decoded}
        )


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
