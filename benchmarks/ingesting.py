"""Reading the photos of ``data/``: ``ingest``, next to decoding them alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, in_turns
from reid.data import paths
from reid.data.dataset import read_columns
from reid.data.images import photo_facts
from reid.data.market import SUBSETS
from reid.preparation.ingest import ingest
from reid.preparation.sources import open_source


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
