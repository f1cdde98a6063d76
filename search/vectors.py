"""Embeddings in memory: all compared by numpy, or an inverted file of faiss above a size.

J. Johnson et al., "Billion-scale similarity search with GPUs", 2017, describes faiss.
"""

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np

from search.faiss_library import faiss

EXACT_UP_TO = 200_000
"""The most embeddings that are all compared with a query: measured in docs/search.md."""
AT_ONCE = 8_000_000
"""The most similarities that are computed at once, 32 MB."""
LISTS, PROBED = 2048, 384
"""The lists of the inverted file, and how many of them a search looks into."""
TRAINED_ON = 100_000
"""The embeddings that the centres of the lists are learnt from."""
RESCORED = 4
"""How many times the wanted number is found in the compressed embeddings and scored exactly."""

Ids = Sequence[int] | np.ndarray
Found = tuple[np.ndarray, np.ndarray]
"""Similarities, float32 (m, count), the largest first, and ids, int64 (m, count); -1 for none."""


class Vectors:
    """Embeddings, rows of length 1, with an id each."""

    def __init__(self, dimension: int, exact: Callable[[Ids], np.ndarray]) -> None:
        """Make an empty set.

        Args:
            dimension: the length of an embedding.
            exact: gives the embeddings, float32 (n, d), of n ids: those in memory are compressed
                above ``EXACT_UP_TO``.
        """
        self._exact = exact
        self._rows = np.empty((0, dimension), np.float32)
        self._ids = np.empty(0, np.int64)
        self._count = 0
        """The rows that are in use; behind them is room for more."""
        self._compressed: faiss.IndexIVFScalarQuantizer | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of embeddings."""
        return self._compressed.ntotal if self._compressed else self._count

    @property
    def is_exact(self) -> bool:
        """Whether each search looks at all embeddings."""
        return self._compressed is None

    def ids(self) -> np.ndarray:
        """Return the ids, int64 (n,)."""
        with self._lock:
            if self._compressed is None:
                return self._ids[: self._count].copy()
            lists = self._compressed.invlists
            return np.concatenate(
                [
                    faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
                    for number in range(lists.nlist)
                ]
            )

    def add(self, ids: Ids, embeddings: np.ndarray) -> None:
        """Add n embeddings, float32 (n, d)."""
        with self._lock:
            if self._compressed is None:
                self._append(np.asarray(ids, np.int64), embeddings)
                if self._count > EXACT_UP_TO:
                    self._compress()
            else:
                self._compressed.add_with_ids(
                    np.ascontiguousarray(embeddings), np.asarray(ids, np.int64)
                )

    def _append(self, ids: np.ndarray, embeddings: np.ndarray) -> None:
        end = self._count + len(ids)
        if end > len(self._ids):
            room = max(end, len(self._ids) * 5 // 4)
            rows, known = (
                np.empty((room, self._rows.shape[1]), np.float32),
                np.empty(room, np.int64),
            )
            rows[: self._count], known[: self._count] = (
                self._rows[: self._count],
                self._ids[: self._count],
            )
            self._rows, self._ids = rows, known
        self._rows[self._count : end], self._ids[self._count : end] = embeddings, ids
        self._count = end

    def _compress(self) -> None:
        rows, dimension = self._rows[: self._count], self._rows.shape[1]
        compressed = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimension),
            dimension,
            LISTS,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
        )
        step = max(1, len(rows) // TRAINED_ON)
        compressed.train(np.ascontiguousarray(rows[::step]))
        compressed.add_with_ids(rows, self._ids[: self._count])
        self._compressed = compressed
        self._rows, self._ids, self._count = self._rows[:0].copy(), self._ids[:0].copy(), 0

    def remove(self, ids: Ids) -> None:
        """Remove embeddings."""
        gone = np.asarray(ids, np.int64)
        with self._lock:
            if self._compressed is not None:
                self._compressed.remove_ids(faiss.IDSelectorBatch(gone))
                return
            # Searches that are running keep the old arrays.
            kept = ~np.isin(self._ids[: self._count], gone)
            self._rows = self._rows[: self._count][kept]
            self._ids = self._ids[: self._count][kept]
            self._count = len(self._ids)

    def search(self, queries: np.ndarray, count: int, among: Ids | None = None) -> Found:
        """Find the most similar embeddings of m queries, float32 (m, d), rows of length 1.

        Args:
            queries: the queries.
            count: how many to find.
            among: the ids that may be found; None for all.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        with self._lock:
            candidates = (
                self._search_compressed(self._compressed, queries, RESCORED * count, among)
                if self._compressed is not None
                else None
            )
            rows, ids = self._rows[: self._count], self._ids[: self._count]
        # Outside the lock, another thread may compress: only what was read inside is used.
        if candidates is not None:
            return self._rescored(queries, candidates, count)
        allowed = None if among is None else np.isin(ids, np.asarray(among, np.int64))
        step = max(1, AT_ONCE // max(1, len(ids)))
        similarities = np.empty((len(queries), count), np.float32)
        found = np.empty((len(queries), count), np.int64)
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            similarities[part], found[part] = _largest(queries[part] @ rows.T, ids, count, allowed)
        return similarities, found

    @staticmethod
    def _search_compressed(
        compressed: faiss.IndexIVFScalarQuantizer,
        queries: np.ndarray,
        count: int,
        among: Ids | None,
    ) -> np.ndarray:
        size = compressed.ntotal
        wanted = min(count, max(size, 1))
        # The lists that are looked into may hold none of a few ids, and fewer than very many.
        in_lists = size * PROBED // LISTS
        is_everywhere = among is not None or wanted > in_lists // 4
        selector = None if among is None else faiss.IDSelectorBatch(np.asarray(among, np.int64))
        params = faiss.SearchParametersIVF(nprobe=LISTS if is_everywhere else PROBED, sel=selector)
        return np.asarray(compressed.search(queries, wanted, params=params)[1])

    def _rescored(self, queries: np.ndarray, found: np.ndarray, count: int) -> Found:
        similarities = np.full((len(queries), count), -np.inf, np.float32)
        ids = np.full((len(queries), count), -1, np.int64)
        for row, query in enumerate(queries):
            candidates = found[row][found[row] >= 0]
            if len(candidates):
                exact = self._exact(candidates) @ query
                best = np.argsort(-exact, kind="stable")[:count]
                similarities[row, : len(best)] = exact[best]
                ids[row, : len(best)] = candidates[best]
        return similarities, ids


def _largest(
    similarities: np.ndarray, ids: np.ndarray, count: int, allowed: np.ndarray | None
) -> Found:
    """Return the largest similarities, float32 (m, n), and their ids. Of equal ones, the lower id.

    Args:
        similarities: of m queries to n embeddings. Changed in place.
        ids: the ids of the embeddings.
        count: how many to return.
        allowed: which embeddings may be found, bool (n,); None for all.
    """
    if allowed is not None:
        similarities[:, ~allowed] = -np.inf
    best = np.full((len(similarities), count), -np.inf, np.float32)
    found = np.full((len(similarities), count), -1, np.int64)
    kept = min(count, len(ids))
    for row, values in enumerate(similarities):
        places = np.argpartition(-values, kept - 1)[:kept] if kept < len(ids) else np.arange(kept)
        places = places[np.isfinite(values[places])]
        places = places[np.lexsort((ids[places], -values[places]))]
        best[row, : len(places)], found[row, : len(places)] = values[places], ids[places]
    return best, found
