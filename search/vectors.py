"""Embeddings in memory, searched by faiss: exactly, or with an inverted file above a size.

J. Johnson et al., "Billion-scale similarity search with GPUs", 2017, describes the library.
"""

from collections.abc import Callable, Sequence
from threading import Lock

import faiss
import numpy as np

EXACT_UP_TO = 200_000
"""The most embeddings that are compared one by one: measured in docs/search.md."""
LISTS, PROBED = 2048, 96
"""The lists of the inverted file, and how many of them a search looks into."""
TRAINED_ON = 100_000
"""The embeddings that the centres of the lists are learnt from."""
RESCORED = 4
"""How many times the wanted number is found in the compressed embeddings and scored exactly."""

Ids = Sequence[int] | np.ndarray


class Vectors:
    """Embeddings, rows of length 1, with an id each."""

    def __init__(self, dimension: int, exact: Callable[[Ids], np.ndarray]) -> None:
        """Make an empty set.

        Args:
            dimension: the length of an embedding.
            exact: gives the embeddings, float32 (n, d), of n ids: those in memory are compressed
                above ``EXACT_UP_TO``.
        """
        self._dimension, self._exact = dimension, exact
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of embeddings."""
        return int(self._index.ntotal)

    @property
    def is_exact(self) -> bool:
        """Whether each search looks at all embeddings."""
        return isinstance(self._index, faiss.IndexIDMap2)

    def ids(self) -> np.ndarray:
        """Return the ids, int64 (n,)."""
        with self._lock:
            if self.is_exact:
                return faiss.vector_to_array(self._index.id_map)
            lists = self._index.invlists
            return np.concatenate(
                [
                    faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
                    for number in range(lists.nlist)
                ]
            )

    def add(self, ids: Ids, embeddings: np.ndarray) -> None:
        """Add n embeddings, float32 (n, d)."""
        with self._lock:
            self._index.add_with_ids(np.ascontiguousarray(embeddings), np.asarray(ids, np.int64))
            if self.is_exact and len(self) > EXACT_UP_TO:
                self._index = self._compressed()

    def _compressed(self) -> faiss.IndexIVFScalarQuantizer:
        flat = faiss.downcast_index(self._index.index)
        quantizer = faiss.IndexFlatIP(self._dimension)
        compressed = faiss.IndexIVFScalarQuantizer(
            quantizer,
            self._dimension,
            LISTS,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
        )
        vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * self._dimension)
        vectors = vectors.reshape(flat.ntotal, self._dimension)
        step = max(1, len(vectors) // TRAINED_ON)
        compressed.train(np.ascontiguousarray(vectors[::step]))
        compressed.add_with_ids(vectors, faiss.vector_to_array(self._index.id_map))
        compressed.nprobe = PROBED
        return compressed

    def remove(self, ids: Ids) -> None:
        """Remove embeddings."""
        with self._lock:
            self._index.remove_ids(faiss.IDSelectorBatch(np.asarray(ids, np.int64)))

    def search(
        self, queries: np.ndarray, count: int, among: Ids | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the most similar embeddings of m queries, float32 (m, d), rows of length 1.

        Args:
            queries: the queries.
            count: how many to find.
            among: the ids that may be found; None for all.

        Returns:
            The similarities, float32 (m, count), the largest first, and the ids, int64 (m, count).
            Where fewer were found, the id is -1.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        selector = None if among is None else faiss.IDSelectorBatch(np.asarray(among, np.int64))
        with self._lock:
            if self.is_exact:
                return self._index.search(
                    queries, count, params=faiss.SearchParameters(sel=selector)
                )
            wanted = min(RESCORED * count, max(len(self), 1))
            # The lists that are looked into may hold none of a few ids, and fewer than very many.
            in_lists = len(self) * PROBED // LISTS
            is_everywhere = among is not None or wanted > in_lists // 4
            probed = LISTS if is_everywhere else PROBED
            params = faiss.SearchParametersIVF(nprobe=probed, sel=selector)
            _, found = self._index.search(queries, wanted, params=params)
        return self._rescored(queries, found, count)

    def _rescored(
        self, queries: np.ndarray, found: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        similarities = np.full((len(queries), count), -np.inf, np.float32)
        ids = np.full((len(queries), count), -1, np.int64)
        for row, query in enumerate(queries):
            candidates = found[row][found[row] >= 0]
            exact = self._exact(candidates) @ query if len(candidates) else np.empty(0, np.float32)
            best = np.argsort(-exact, kind="stable")[:count]
            similarities[row, : len(best)] = exact[best]
            ids[row, : len(best)] = candidates[best]
        return similarities, ids
