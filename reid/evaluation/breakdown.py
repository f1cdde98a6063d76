"""Where a model fails: its figures by camera, and whom its wrong first answers show.

Each row of a table is one bar or cell of a plot. A figure is NaN if none of its queries has a right
answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reid.common.arrays import BoolArray, IntArray
from reid.common.errors import UserError
from reid.data.market import DISTRACTOR_PID
from reid.data.protocols import ANY_CAMERA, CROSS_CAMERA, Protocol
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Answers, Ranking, rank_queries

MOST_CAMERAS_IN_PAIRS = 30
"""With more cameras, there is no table of pairs: nobody could read its thousands of cells."""
LEFT_OUT = "left_out"
"""The key of ``camera_pairs.json`` under which the reason stands if there is no table of pairs."""


@dataclass(frozen=True)
class WrongFirstAnswers:
    """The queries that have a right answer but a wrong first answer, counted by whom that shows.

    ``queries`` = ``distractor`` (pid 0) + ``other_person`` (somebody else of the test set).
    """

    queries: int
    distractor: int
    other_person: int

    @property
    def distractor_share(self) -> float:
        """Return the share of distractors among the wrong first answers; 0 if none is wrong."""
        return self.distractor / self.queries if self.queries else 0.0


def per_camera(ranking: Ranking, camids: IntArray) -> pd.DataFrame:
    """Average a ranking over the queries of each camera, in ascending order of cameras.

    ``camids``: (q,), the cameras of the queries. Columns: ``camera``; ``queries``, the number of
    its queries; ``queries_with_match``, the number of its queries with a right answer; ``rank1``
    and ``mAP``, the means over these.
    """
    queries = pd.DataFrame(
        {"camera": camids, "rank1": ranking.found_first, "mAP": ranking.average_precision}
    )
    return queries.groupby("camera", as_index=False).agg(
        queries=("mAP", "size"),
        queries_with_match=("mAP", "count"),
        rank1=("rank1", "mean"),
        mAP=("mAP", "mean"),
    )


def cameras_of(query_camids: IntArray, gallery_camids: IntArray) -> int:
    """Count the cameras of the queries (q,) and of the gallery (m,) together."""
    return len(np.union1d(query_camids, gallery_camids))


def per_camera_pair(
    query: FeatureSet,
    gallery: FeatureSet,
    block: int = 256,
    protocol: Protocol = CROSS_CAMERA,
) -> pd.DataFrame:
    """For the queries of each camera, rank only the gallery rows of each other camera.

    By ``any_camera``, a camera is paired with itself, too. The protocol is that of `rank_queries`,
    without re-ranking. Distractors under the other camera stay as wrong answers. Columns:
    ``query_camera``, ``gallery_camera``, and those of `per_camera`. A small gallery is easy to
    search: compare the pairs with each other, not with the figures of the whole gallery.

    This takes the time of one `rank_queries` and the memory of one camera's gallery. Raises
    `UserError` if the two sets can't be compared or show a single camera.
    """

    def ranking_under(camid: int, is_asked: BoolArray) -> Ranking:
        seen_there = _rows(gallery, gallery.camids == camid)
        return rank_queries(_rows(query, is_asked), seen_there, block, protocol=protocol)

    return camera_pairs(query.camids, gallery.camids, ranking_under, protocol)


def camera_pairs(
    query_camids: IntArray,
    gallery_camids: IntArray,
    ranking_under: Callable[[int, BoolArray], Ranking],
    protocol: Protocol = CROSS_CAMERA,
) -> pd.DataFrame:
    """Make the table of `per_camera_pair` from the ranking of each camera's gallery rows.

    ``ranking_under`` is called with the number of a camera of the gallery and the queries to rank
    its rows for, bool (q,). Raises `UserError` if all photos are of one camera.
    """
    tables = []
    for camid in np.unique(gallery_camids):
        is_asked = (query_camids != camid) | (protocol == ANY_CAMERA)
        if is_asked.any():
            table = per_camera(ranking_under(camid, is_asked), query_camids[is_asked])
            table = table.rename(columns={"camera": "query_camera"})
            table.insert(1, "gallery_camera", camid)
            tables.append(table)
    if not tables:
        raise UserError(
            f"queries and gallery show only camera {query_camids[0]}: there is no pair of cameras"
        )
    pairs = pd.concat(tables)
    return pairs.sort_values(["query_camera", "gallery_camera"], ignore_index=True)


def no_camera_pairs(note: str) -> pd.DataFrame:
    """Return the columns of `per_camera_pair` with one row, whose ``note`` says why it is empty."""
    columns = ("query_camera", "gallery_camera", "queries", "queries_with_match", "rank1", "mAP")
    return pd.DataFrame([dict.fromkeys(columns, "") | {"note": note}])


def camera_metrics(table: pd.DataFrame, *cameras: str) -> dict[str, dict[str, float]]:
    """Nest a table for JSON by its columns of cameras.

    The table of `per_camera` is nested by ``camera``: ``{"c1": {"queries": .., "rank1": ..}, ..}``.
    The table of `per_camera_pair` is nested by ``query_camera`` and ``gallery_camera``:
    ``{"c1-c2": {..}, ..}``. A figure that is NaN is left out; the counts next to it say why.
    """
    names = ["-".join(f"c{camera}" for camera in row) for row in table[list(cameras)].to_numpy()]
    rows = table.drop(columns=list(cameras)).to_dict("records")
    return {
        name: {str(figure): x for figure, x in row.items() if not np.isnan(x)}
        for name, row in zip(names, rows, strict=True)
    }


def first_answers(ranking: Ranking, wrong: WrongFirstAnswers) -> pd.DataFrame:
    """Tabulate whom the first answers show, over the queries that have a right answer.

    Columns: ``answer`` (right, another person, distractor); ``queries``, their number; ``share``,
    their share of these queries.
    """
    answered = np.count_nonzero(ranking.has_match)
    counts = [answered - wrong.queries, wrong.other_person, wrong.distractor]
    table = pd.DataFrame({"answer": ["right", "another person", "distractor"], "queries": counts})
    return table.assign(share=table["queries"] / answered)


def wrong_first_answers(
    ranking: Ranking, answers: Answers, gallery_pids: IntArray
) -> WrongFirstAnswers:
    """Count whom the wrong first answers show.

    ``ranking`` and ``answers``, one or more per query, come from the same call of
    `rank_with_answers`; ``gallery_pids``: (n,), the pids of the gallery that was ranked.
    """
    is_wrong = ranking.has_match & ~answers.right[:, 0]
    is_distractor = gallery_pids[answers.rows[is_wrong, 0]] == DISTRACTOR_PID
    return WrongFirstAnswers(
        queries=len(is_distractor),
        distractor=int(np.count_nonzero(is_distractor)),
        other_person=int(np.count_nonzero(~is_distractor)),
    )


def _rows(images: FeatureSet, chosen: BoolArray) -> FeatureSet:
    """Keep the chosen rows of a set: at least one."""
    return FeatureSet(images.features[chosen], images.pids[chosen], images.camids[chosen])
