"""Rank a gallery whose features don't fit in memory, in one pass over their file.

The rules are those of `reid.protocol.ranking`, and so are the figures. The similarities of each
query and its right answers are computed first. Then the gallery is read in blocks. Each block adds
the wrong answers that rank ahead of a right one.

A matrix product rounds equal features differently in different columns, and the last bit would
decide who wins a tie. So each gallery row that has the features of a right answer takes the
similarity that was computed first. That is why ties, too, are as in `reid.protocol.ranking`. Two
rows with different features whose similarities differ by rounding alone may swap their ranks: this
module and that one multiply matrices of different shapes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from reid.common.arrays import BoolArray, FloatArray, IntArray
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.data.protocols import ANY_CAMERA, CROSS_CAMERA, Protocol
from reid.protocol.feature_set import FeatureSet, check_comparable
from reid.protocol.ranking import (
    Answers,
    PairSimilarities,
    Ranking,
    Similarities,
    at_least_kth,
    dot_products,
    score_of_ranks,
)

Item = TypeVar("Item")

ROWS_AT_ONCE = 16_384
"""The gallery rows in a block: 84 MB of features if a feature has 1,280 numbers."""
PAIRS_AT_ONCE = 4096
"""The pairs of rows whose features are gathered at once: 42 MB."""
PLACES_AT_ONCE = 8192
"""The pairs of a right and a wrong answer up to which comparing all is quicker than sorting."""
LOWEST = np.float32(-2)
"""Less than any similarity, but more than the -inf of rows that are left out."""
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
"""Those of `numpy.searchsorted` that find the first and the last row of a person."""


@dataclass(frozen=True, eq=False)
class LargeGallery:
    """The n photos of a gallery whose features stay on disk.

    ``file``: a ``.npy`` file, float32 (n, d), rows of length 1; ``pids``, ``camids``: int64 (n,),
    as in `FeatureSet`.
    """

    file: Path
    pids: IntArray
    camids: IntArray

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.pids)

    def features(self, rows: IntArray | slice) -> FloatArray:
        """Read the features of some rows: float32 (rows, d)."""
        # The file is mapped anew each time, so what was read before is no memory of this process.
        return np.array(np.load(self.file, mmap_mode="r")[rows])

    def blocks(self, rows_at_once: int) -> Iterator[tuple[int, FeatureSet]]:
        """Yield the number of a block's first row, and its checked rows.

        Raises `UserError` if the rows are not what a `FeatureSet` holds.
        """
        for start in range(0, len(self), rows_at_once):
            rows = slice(start, start + rows_at_once)
            part = f"{self.file} from row {start}"
            names = (f"{part}: features", f"{part}: pids", f"{part}: camids")
            features, pids, camids = self.features(rows), self.pids[rows], self.camids[rows]
            yield start, FeatureSet(features, pids, camids, names)


class LargeRanking(NamedTuple):
    """What `rank_large_gallery` finds for q queries."""

    ranking: Ranking
    answers: Answers
    under: Callable[[int, BoolArray], Ranking]
    """The ranking of the rows of one camera, by its number, for the chosen queries, bool (q,).

    It has no meaning unless ``by_camera`` was asked for.
    """


def rank_large_gallery(
    query: FeatureSet,
    gallery: LargeGallery,
    k: int,
    watch: Callable[[PairSimilarities], None] | None = None,
    similarities: Similarities = dot_products,
    protocol: Protocol = CROSS_CAMERA,
    by_camera: bool = False,
    rows_at_once: int = ROWS_AT_ONCE,
) -> LargeRanking:
    """Rank the gallery for each query, and find its k best rows, as `rank_with_answers` does.

    ``watch`` is called with the similarities of each query to the rows of each block. The arrays
    are valid only during the call. ``by_camera``: whether to rank the rows of each camera, too.

    Memory: twice ``rows_at_once`` * (q + 3 d) float32, twice as much with `portable_dot_products`,
    and a few numbers for each right answer and each row. Raises `UserError` if the two sets can't
    be compared or the file holds no features.
    """
    _, first_row = next(gallery.blocks(1))
    check_comparable(query, first_row)
    camids = query.camids
    if protocol == ANY_CAMERA:
        # As if all queries came from a camera that the gallery doesn't show.
        camids = np.full(len(query), gallery.camids.min() - 1)
    asked = _Asked(query.features, query.pids, camids)
    right = _right_answers(asked, gallery, PAIRS_AT_ONCE, rows_at_once)
    best = Answers(
        np.full((len(query), k), -1),
        np.full((len(query), k), -np.inf, np.float32),
        np.zeros((len(query), k), bool),
    )
    blocks = _similarities(asked, gallery, right, similarities, rows_at_once)
    for block, similarity in _one_ahead(blocks):
        distractors = slice(*np.searchsorted(block.pids, (DISTRACTOR_PID, DISTRACTOR_PID + 1)))
        first, last = (np.searchsorted(block.pids, asked.pids, side) for side in SIDES)
        # Most blocks change nothing for most queries of a good model.
        highest = similarity.max(axis=1)
        for index, row in enumerate(similarity):
            person = slice(first[index], last[index])
            same_camera = block.camids[person] == asked.camids[index]
            if watch:
                watch(_pairs(row, person, same_camera, distractors))
            if highest[index] >= best.similarity[index, -1]:
                row[person][same_camera] = -np.inf
                _keep_best(best, index, row, block, asked.pids[index])
            if highest[index] >= right.lowest[index]:
                row[person] = -np.inf
                right.count_ahead(index, row, block.camids if by_camera else None)
    best.similarity[best.rows < 0] = np.nan
    return LargeRanking(right.ranking(), best, right.ranking_under)


class _Asked(NamedTuple):
    """The q queries as the protocol sees them: features (q, d), ``pids`` and ``camids`` (q,)."""

    features: FloatArray
    pids: IntArray
    camids: IntArray


class _Block(NamedTuple):
    """The b rows of a block that are ranked, ordered by person.

    ``rows``: int64 (b,), their row numbers in the gallery; ``values``: int64 (b,), see `_values`.
    """

    features: FloatArray
    pids: IntArray
    camids: IntArray
    rows: IntArray
    values: IntArray


def _block(start: int, rows: FeatureSet) -> _Block:
    """Drop the junk of a block that begins at a row of the gallery, and order it by person."""
    order = np.argsort(rows.pids, kind="stable")
    order = order[rows.pids[order] != JUNK_PID]
    features = rows.features[order]
    pids, camids = rows.pids[order], rows.camids[order]
    return _Block(features, pids, camids, start + order, _values(features))


def _similarities(
    asked: _Asked,
    gallery: LargeGallery,
    right: "_RightAnswers",
    similarities: Similarities,
    rows_at_once: int,
) -> Iterator[tuple[_Block, FloatArray]]:
    """Yield each block that has rows to rank, and the similarities of all queries: (q, b)."""
    for start, rows in gallery.blocks(rows_at_once):
        block = _block(start, rows)
        if len(block.rows):
            (similarity,) = similarities(asked.features, block.features, len(asked.features))
            right.overrule(similarity, block.values)
            yield block, similarity


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items; while one is used, a thread computes the next."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def _values(features: FloatArray) -> IntArray:
    """Number the rows of (n, d) such that equal rows have the same number: int64 (n,).

    Two different rows share a number with a probability of 2**-64.
    """
    one_zero = features + np.float32(0)  # -0.0 equals 0.0 but has other bytes
    return np.fromiter((hash(row.tobytes()) for row in one_zero), np.int64, len(features))


class _RightAnswers(NamedTuple):
    """The p pairs of a query and a right answer, by query, the most similar first.

    ``query``, ``camids``: int64 (p,), the number of the query and the camera of the answer;
    ``similarity``: float32 (p,); ``values``: int64 (p,), see `_values`; ``by_value``: int64, the
    pairs in the order of their values, one for each query and value; ``starts``: int64 (q + 1,),
    the first pair of each query; ``lowest``: float32 (q,), the similarity of its least similar
    right answer, infinite if it has none; ``ahead`` and ``ahead_there``: int64 (p,), the wrong
    answers so far that rank ahead of the right one, of all and of those under its camera.
    """

    query: IntArray
    camids: IntArray
    similarity: FloatArray
    values: IntArray
    by_value: IntArray
    starts: IntArray
    lowest: FloatArray
    ahead: IntArray
    ahead_there: IntArray

    def overrule(self, similarity: FloatArray, values: IntArray) -> None:
        """Give the rows of a block, (q, b), that equal a right answer the same similarity."""
        ordered = self.values[self.by_value]
        columns = np.flatnonzero(np.isin(values, ordered))
        for value in np.unique(values[columns]):
            start, stop = np.searchsorted(ordered, value), np.searchsorted(ordered, value, "right")
            pairs = self.by_value[start:stop]
            same = columns[values[columns] == value]
            similarity[self.query[pairs][:, None], same] = self.similarity[pairs][:, None]

    def count_ahead(self, index: int, wrong: FloatArray, camids: IntArray | None) -> None:
        """Count the wrong answers of a block, (b,), ahead of each right answer to a query.

        ``camids``: (b,), the cameras of the wrong answers, if those are to be counted, too.
        """
        pairs = slice(self.starts[index], self.starts[index + 1])
        right = self.similarity[pairs]
        ahead = np.flatnonzero(wrong >= right[-1])
        wrong, right_camids = wrong[ahead], self.camids[pairs]
        if len(ahead) * len(right) <= PLACES_AT_ONCE:
            is_ahead = wrong[:, None] >= right
            self.ahead[pairs] += np.count_nonzero(is_ahead, axis=0)
            if camids is not None:
                is_there = camids[ahead][:, None] == right_camids
                self.ahead_there[pairs] += np.count_nonzero(is_ahead & is_there, axis=0)
            return
        self.ahead[pairs] += _ahead(right, wrong)
        if camids is not None:
            wrong_camids = camids[ahead]
            for camid in set(right_camids.tolist()):
                there = right_camids == camid
                self.ahead_there[pairs][there] += _ahead(right[there], wrong[wrong_camids == camid])

    def ranking(self) -> Ranking:
        """Score the queries by the ranks in the whole gallery."""
        return self._scored(self.ahead, np.ones(len(self.query), bool))

    def ranking_under(self, camid: int, asked: BoolArray) -> Ranking:
        """Score the chosen queries, bool (q,), by the ranks among the rows of one camera."""
        ranking = self._scored(self.ahead_there, self.camids == camid)
        return Ranking(*(getattr(ranking, field.name)[asked] for field in fields(Ranking)))

    def _scored(self, ahead: IntArray, chosen: BoolArray) -> Ranking:
        ranking = Ranking(*np.full((4, len(self.starts) - 1), np.nan))
        query, ahead = self.query[chosen], ahead[chosen]
        for index in np.unique(query):
            start, stop = np.searchsorted(query, (index, index + 1))
            ranks = np.sort(ahead[start:stop]) + np.arange(1, stop - start + 1)
            for field, figure in zip(fields(Ranking), score_of_ranks(ranks), strict=True):
                getattr(ranking, field.name)[index] = figure
        return ranking


def _ahead(right: FloatArray, wrong: FloatArray) -> IntArray:
    """Count the wrong answers (w,) that are at least as similar as each right one: int64 (n,)."""
    return len(wrong) - np.searchsorted(np.sort(wrong), right, side="left")


def _right_answers(
    asked: _Asked, gallery: LargeGallery, pairs_at_once: int, rows_at_once: int
) -> _RightAnswers:
    """Find the right answers to all queries, and compute their similarities."""
    query, row = _right_pairs(asked, gallery)
    by_row = np.argsort(row, kind="stable")
    similarity, values = np.empty(len(row), np.float32), np.empty(len(row), np.int64)
    rows, first = np.unique(row[by_row], return_index=True)
    ends = np.append(first, len(row))
    for start in range(0, len(rows), rows_at_once):
        some = rows[start : start + rows_at_once]
        features = gallery.features(some)
        own_values = _values(features)
        last = ends[min(start + rows_at_once, len(rows))]
        for begin in range(ends[start], last, pairs_at_once):
            pairs = by_row[begin : min(begin + pairs_at_once, last)]
            place = np.searchsorted(some, row[pairs])
            two_rows = asked.features[query[pairs]], features[place]
            similarity[pairs] = np.einsum("pd,pd->p", *two_rows, dtype=np.float64)
            values[pairs] = own_values[place]
    order = np.lexsort((-similarity, query))
    query, row, similarity, values = query[order], row[order], similarity[order], values[order]
    by_value = np.lexsort((query, values))
    repeats = (np.diff(values[by_value]) == 0) & (np.diff(query[by_value]) == 0)
    starts = np.searchsorted(query, np.arange(len(asked.pids) + 1))
    lowest = np.full(len(asked.pids), np.inf, np.float32)
    has_right = np.diff(starts) > 0
    lowest[has_right] = similarity[starts[1:][has_right] - 1]
    return _RightAnswers(
        query,
        gallery.camids[row],
        similarity,
        values,
        by_value[np.append(True, ~repeats)] if len(query) else by_value,
        starts,
        lowest,
        np.zeros(len(query), np.int64),
        np.zeros(len(query), np.int64),
    )


def _right_pairs(asked: _Asked, gallery: LargeGallery) -> tuple[IntArray, IntArray]:
    """Pair each query's number with the gallery rows that are right: two int64 (p,)."""
    by_person = np.argsort(gallery.pids, kind="stable")
    ordered = gallery.pids[by_person]
    found = [np.empty(0, np.int64)]
    counts = np.zeros(len(asked.pids), np.int64)
    for index, (pid, camid) in enumerate(zip(asked.pids, asked.camids, strict=True)):
        start, stop = np.searchsorted(ordered, (pid, pid + 1))
        rows = by_person[start:stop]
        found.append(rows[gallery.camids[rows] != camid])
        counts[index] = len(found[-1])
    return np.repeat(np.arange(len(counts)), counts), np.concatenate(found)


def _pairs(
    row: FloatArray, person: slice, same_camera: BoolArray, distractors: slice
) -> PairSimilarities:
    """Group one query's similarities to a block, (b,), by the person on the gallery row."""
    others = (row[distractors.stop : person.start], row[person.stop :])
    return PairSimilarities(row[person][~same_camera], np.concatenate(others), row[distractors])


def _keep_best(best: Answers, index: int, row: FloatArray, block: _Block, pid: int) -> None:
    """Merge the best rows of a block into the best rows of the blocks before it."""
    k = best.rows.shape[1]
    new = np.flatnonzero(row >= max(best.similarity[index, -1], LOWEST))
    new = new[at_least_kth(row[new], k)]
    rows = np.concatenate((best.rows[index], block.rows[new]))
    similarity = np.concatenate((best.similarity[index], row[new]))
    right = np.concatenate((best.right[index], block.pids[new] == pid))
    order = np.lexsort((rows, right, -similarity))[:k]
    best.rows[index], best.similarity[index] = rows[order], similarity[order]
    best.right[index] = right[order]
