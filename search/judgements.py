"""The judgements as a file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reid.common.files import replacing_file
from search.index import Index

SCHEMA = pa.schema(
    [
        ("query", pa.binary()),
        ("photo", pa.binary()),
        ("person", pa.string()),
        ("similarity", pa.float64()),
        ("model", pa.string()),
        ("right", pa.bool_()),
        ("time", pa.timestamp("ms", tz="UTC")),
    ]
)


def write_judgements(index: Index, file: Path) -> int:
    """Write one row per judgement, the oldest first. Return their number.

    The columns: ``query`` and ``photo``, the image files of what was searched for and what was
    found; ``person``, the name of the person found, or null; ``similarity``, the cosine of the two
    embeddings; ``model``, the hash of the network; ``right``; ``time``.
    """
    count = 0
    with replacing_file(file) as part, pq.ParquetWriter(part, SCHEMA) as writer:
        for judgement in index.judgements():
            found = index.photo(judgement.photo)
            if found is not None:
                row = {
                    "query": judgement.query,
                    "photo": found[1],
                    "person": judgement.person,
                    "similarity": judgement.similarity,
                    "model": judgement.model,
                    "right": judgement.right,
                    "time": round(1000 * judgement.time),
                }
                writer.write_table(pa.Table.from_pylist([row], SCHEMA))
                count += 1
    return count
