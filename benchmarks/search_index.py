"""Time searches in memory: ``python -m benchmarks.search_index [ROWS...]``.

The rows are synthetic embeddings of 1,280 numbers: people in random directions, 25 photos each,
whose cosine with each other is about 0.6. Recall is the share of the ten most similar rows that a
search finds.
"""

import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from search.vectors import Vectors

ROWS = (19_732, 100_000, 200_000, 1_000_000)
DIMENSION, PHOTOS = 1280, 25
SPREAD = 0.8
"""The length of what is random in a photo, beside the direction of its person, of length 1."""
AT_ONCE = 10_000
QUERIES, COUNT = 50, 10


def photos_of(people: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a photo of each of n people, float32 (n, DIMENSION), rows of length 1."""
    noise = random.standard_normal(people.shape, dtype=np.float32) * (SPREAD / DIMENSION**0.5)
    rows = people + noise
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def synthetic(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings, float32 (count, DIMENSION), and queries, float32 (QUERIES, DIMENSION)."""
    people = random.standard_normal((-(-count // PHOTOS), DIMENSION), dtype=np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    rows = np.empty((count, DIMENSION), np.float32)
    for start in tqdm(range(0, count, AT_ONCE), desc=f"{count:,} rows", leave=False):
        whose = np.arange(start, min(start + AT_ONCE, count)) // PHOTOS
        rows[start : start + AT_ONCE] = photos_of(people[whose], random)
    return rows, photos_of(people[random.choice(len(people), QUERIES)], random)


def measured(count: int) -> tuple[str, ...]:
    """Return the row of the table for a number of rows."""
    rows, queries = synthetic(count, np.random.default_rng(0))
    began = time.perf_counter()
    vectors = Vectors(DIMENSION, lambda ids: rows[np.asarray(ids)])
    for start in range(0, count, AT_ONCE):
        vectors.add(np.arange(start, min(start + AT_ONCE, count)), rows[start : start + AT_ONCE])
    building = time.perf_counter() - began
    nearest = np.concatenate([np.argsort(-(rows @ query))[:COUNT][None] for query in queries])
    milliseconds, hits = [], 0
    for query, expected in zip(queries, nearest, strict=True):
        began = time.perf_counter()
        _, found = vectors.search(query[None], COUNT)
        milliseconds.append(1000 * (time.perf_counter() - began))
        hits += len(set(found[0].tolist()) & set(expected.tolist()))
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return (
        f"{count:,}",
        "all rows" if vectors.is_exact else "inverted file",
        f"{building:.1f} s",
        f"{p50:.1f} ms",
        f"{p95:.1f} ms",
        f"{hits / nearest.size:.3f}",
    )


def main() -> None:
    """Print a table."""
    table = Table(title=f"Searches for the {COUNT} most similar of so many rows, in memory")
    for column in ("rows", "compared with", "building", "p50", "p95", f"recall@{COUNT}"):
        table.add_column(column, justify="right")
    for count in [int(text) for text in sys.argv[1:]] or ROWS:
        table.add_row(*measured(count))
    Console().print(table)


if __name__ == "__main__":
    main()
