"""Where a model fails: its figures camera by camera, and what its wrong first answers show.

A row of each table is one bar or cell of a plot. A figure that no query defines, because none has
a right answer there, is NaN.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reid.common.arrays import BoolArray, IntArray
from reid.common.errors import UserError
from reid.data.market import DISTRACTOR_PID
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Matches, Ranking, rank_queries


@dataclass(frozen=True)
class WrongFirstAnswers:
    """Queries that have a right answer, but whose first answer is wrong, by what that shows.

    ``queries`` = ``distractor`` (pid 0) + ``other_person`` (somebody else of the test set).
    """

    queries: int
    distractor: int
    other_person: int

    @property
    def distractor_share(self) -> float:
        """Of the wrong first answers; 0 where none is wrong."""
        return self.distractor / self.queries if self.queries else 0.0


def per_camera(ranking: Ranking, camids: IntArray) -> pd.DataFrame:
    """Average a ranking over the queries of each camera, in ascending order of cameras.

    ``camids``: (q,), the cameras of the queries. Columns: ``camera``; ``queries``, all of its;
    ``queries_with_match``, those with a right answer, over which ``rank1`` and ``mAP`` are means.
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


def per_camera_pair(query: FeatureSet, gallery: FeatureSet, block: int = 256) -> pd.DataFrame:
    """Rank for the queries of each camera a the gallery rows of each other camera b alone.

    The protocol is `rank_queries`', without re-ranking; distractors under b stay as wrong answers.
    Columns:
    ``query_camera``, ``gallery_camera``, and those of `per_camera`. A small gallery is easy to
    search: compare the pairs with each other, not with the figures of the whole gallery.

    Takes the time of one `rank_queries` and the memory of one camera's gallery. Raises `UserError`
    where the two sets can't be compared or show a single camera.
    """
    tables = []
    for camid in np.unique(gallery.camids):
        is_asked = query.camids != camid
        if is_asked.any():
            seen_there = _rows(gallery, gallery.camids == camid)
            ranking = rank_queries(_rows(query, is_asked), seen_there, block)
            table = per_camera(ranking, query.camids[is_asked])
            table = table.rename(columns={"camera": "query_camera"})
            table.insert(1, "gallery_camera", camid)
            tables.append(table)
    if not tables:
        raise UserError(
            f"queries and gallery show camera {query.camids[0]} alone: there is no pair of cameras"
        )
    pairs = pd.concat(tables)
    return pairs.sort_values(["query_camera", "gallery_camera"], ignore_index=True)


def camera_metrics(table: pd.DataFrame, *cameras: str) -> dict[str, dict[str, float]]:
    """Nest a table for JSON by its columns of cameras.

    That of `per_camera` by ``camera``: ``{"c1": {"queries": .., "rank1": ..}, ..}``; that of
    `per_camera_pair` by ``query_camera`` and ``gallery_camera``: ``{"c1-c2": {..}, ..}``. A figure
    that is NaN is left out; the counts beside it say why.
    """
    names = ["-".join(f"c{camera}" for camera in row) for row in table[list(cameras)].to_numpy()]
    rows = table.drop(columns=list(cameras)).to_dict("records")
    return {
        name: {str(figure): x for figure, x in row.items() if not np.isnan(x)}
        for name, row in zip(names, rows, strict=True)
    }


def first_answers(ranking: Ranking, wrong: WrongFirstAnswers) -> pd.DataFrame:
    """What the first answers show to the queries that have a right one.

    Columns: ``answer`` (right, another person, distractor); ``queries``; ``share`` of them all.
    """
    answered = np.count_nonzero(ranking.has_match)
    counts = [answered - wrong.queries, wrong.other_person, wrong.distractor]
    table = pd.DataFrame({"answer": ["right", "another person", "distractor"], "queries": counts})
    return table.assign(share=table["queries"] / answered)


def wrong_first_answers(
    ranking: Ranking, matches: Matches, gallery_pids: IntArray
) -> WrongFirstAnswers:
    """Count whom the wrong first answers show.

    ``ranking`` and ``matches``, one or more to a query, are of the same queries, re-ranked both or
    neither; ``gallery_pids``: (n,), of the gallery that both were given.
    """
    is_wrong = ranking.has_match & ~matches.right[:, 0]
    is_distractor = gallery_pids[matches.rows[is_wrong, 0]] == DISTRACTOR_PID
    return WrongFirstAnswers(
        queries=len(is_distractor),
        distractor=int(np.count_nonzero(is_distractor)),
        other_person=int(np.count_nonzero(~is_distractor)),
    )


def _rows(images: FeatureSet, chosen: BoolArray) -> FeatureSet:
    """Keep the chosen rows of a set, at least one."""
    return FeatureSet(images.features[chosen], images.pids[chosen], images.camids[chosen])
