"""Who becomes champion: rankings whose truth is known, because it was drawn."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from reid.data.protocols import Protocol
from reid.evaluation.ranking_file import RankedQueries
from reid.protocol.ranking import Ranking
from runs.registry.champion import Contender, Decision, decide, protocol_digest

PEOPLE, QUERIES_EACH = 80, 3
NONE = {"use": False, "k1": 20, "k2": 6, "original_weight": 0.3}


def drawn(rng: np.random.Generator, rank1: float, mAP: float) -> RankedQueries:
    """Queries of people who are easy or hard to find, with a true rank-1 and mAP."""
    pids = np.repeat(np.arange(1, PEOPLE + 1), QUERIES_EACH)
    ease = rng.normal(0, 0.05, PEOPLE)[pids - 1]
    found = rng.random(len(pids)) < np.clip(rank1 + ease, 0, 1)
    precision = np.clip(rng.normal(mAP + ease, 0.05), 0.01, 1)
    ranking = Ranking(
        first_rank=np.where(found, 1.0, 4.0),
        average_precision=precision,
        average_precision_official=precision,
        inverse_negative_penalty=precision,
    )
    names = np.array([f"{row}.jpg" for row in range(len(pids))], dtype=object)
    return RankedQueries(names, pids, np.ones_like(pids), ranking)


def contender(version: str, ranking: RankedQueries | None, protocol: str = "p") -> Contender:
    return Contender(version, protocol, f"data of {protocol}", ranking)


def judged(
    candidate: tuple[float, float], champion: tuple[float, float], seed: int = 7
) -> Decision:
    rng = np.random.default_rng(seed)
    one, other = drawn(rng, *candidate), drawn(rng, *champion)
    return decide(contender("2", one), contender("1", other), resamples=1000, seed=seed)


def judged_with(champion: RankedQueries, **figures: np.ndarray) -> Decision:
    """A candidate that differs from the champion in these figures alone."""
    candidate = replace(champion, ranking=replace(champion.ranking, **figures))
    return decide(contender("2", candidate), contender("1", champion), resamples=1000, seed=0)


class TestDecision:
    def test_the_first_version_is_promoted(self) -> None:
        decision = decide(contender("1", None), None, 1000, 0)
        assert decision.promoted
        assert decision.reason == "there was no champion"

    def test_a_clearly_better_one_is_promoted_with_its_figures(self) -> None:
        decision = judged((0.8, 0.75), (0.5, 0.5))
        assert decision.promoted
        assert decision.compared_with == "1"
        assert "both figures are better" in decision.reason
        assert "rank-1 +" in decision.reason
        assert "95 % interval +" in decision.reason
        assert f"over {PEOPLE} people" in decision.reason

    def test_a_clearly_worse_one_is_not(self) -> None:
        decision = judged((0.5, 0.5), (0.8, 0.75))
        assert not decision.promoted
        assert "rank-1 and mAP are worse" in decision.reason
        assert "rank-1 -" in decision.reason

    def test_better_rank_1_alone_is_not_enough(self) -> None:
        champion = drawn(np.random.default_rng(2), 0.5, 0.6)
        first_rank = champion.ranking.first_rank.copy()
        first_rank[::4] = 1
        decision = judged_with(champion, first_rank=first_rank)
        assert not decision.promoted
        assert "only rank-1 is better" in decision.reason

    def test_better_map_alone_is_not_enough(self) -> None:
        champion = drawn(np.random.default_rng(2), 0.5, 0.6)
        precision = champion.ranking.average_precision + 0.1
        decision = judged_with(champion, average_precision=precision)
        assert not decision.promoted
        assert "only mAP is better" in decision.reason

    def test_better_in_one_and_worse_in_the_other_is_said(self) -> None:
        decision = judged((0.8, 0.5), (0.5, 0.75))
        assert not decision.promoted
        assert "mAP is worse" in decision.reason

    def test_the_same_ranking_is_no_better(self) -> None:
        ranking = drawn(np.random.default_rng(1), 0.6, 0.6)
        decision = decide(contender("2", ranking), contender("1", ranking), 1000, 0)
        assert not decision.promoted
        assert "neither figure differs" in decision.reason

    def test_chance_alone_seldom_moves_it(self) -> None:
        promoted = sum(judged((0.6, 0.6), (0.6, 0.6), seed).promoted for seed in range(200))
        # One figure alone would be above its interval in 2.5 % of the cases: 5 of 200. More than
        # 12 come about in less than one of 300 repetitions of this test with other draws.
        assert promoted <= 12

    def test_a_lucky_figure_is_not_enough(self) -> None:
        """One query more is a higher rank-1, and nothing that another test set would repeat."""
        champion = drawn(np.random.default_rng(3), 0.6, 0.6)
        first_rank, precision = (
            getattr(champion.ranking, name).copy() for name in ("first_rank", "average_precision")
        )
        lucky = np.flatnonzero(first_rank > 1)[0]
        first_rank[lucky], precision[lucky] = 1, 1
        assert not judged_with(
            champion, first_rank=first_rank, average_precision=precision
        ).promoted


class TestNotComparable:
    def test_another_protocol_keeps_the_champion_whatever_the_figures(self) -> None:
        rng = np.random.default_rng(0)
        one, other = drawn(rng, 0.9, 0.9), drawn(rng, 0.2, 0.2)
        decision = decide(contender("2", one, "market"), contender("1", other, "sample"), 1000, 0)
        assert not decision.promoted
        assert (decision.compared_with, decision.not_compared_with) == (None, "1")
        assert "data of sample" in decision.reason
        assert "data of market" in decision.reason

    def test_a_ranking_that_is_gone_keeps_the_champion(self) -> None:
        one = drawn(np.random.default_rng(0), 0.9, 0.9)
        decision = decide(contender("2", one), contender("1", None), 1000, 0)
        assert not decision.promoted
        assert (decision.compared_with, decision.not_compared_with) == (None, "1")
        assert "version 1 can't be read" in decision.reason

    def test_other_queries_keep_the_champion(self) -> None:
        one = drawn(np.random.default_rng(0), 0.9, 0.9)
        fewer = replace(one, ranking=Ranking(**{k: v[:-1] for k, v in vars(one.ranking).items()}))
        decision = decide(contender("2", one), contender("1", fewer), 1000, 0)
        assert not decision.promoted
        assert (decision.compared_with, decision.not_compared_with) == (None, "1")
        assert "240 queries" in decision.reason


def index(**changes: object) -> pd.DataFrame:
    columns = {
        "name": ["a.jpg", "b.jpg"],
        "pid": [1, 2],
        "camid": [1, 3],
        "sequence": [1, 1],
        "sha256": ["aa", "bb"],
    }
    return pd.DataFrame(columns | changes)


class TestProtocol:
    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ["a.jpg", "c.jpg"]},
            {"pid": [1, 3]},
            {"camid": [2, 3]},
            {"sha256": ["aa", "cc"]},
        ],
    )
    def test_other_photos_or_people_are_another_protocol(self, changes: dict) -> None:
        same = protocol_digest(index(), index(), NONE)
        assert protocol_digest(index(**changes), index(), NONE) != same
        assert protocol_digest(index(), index(**changes), NONE) != same

    def test_order_and_place_of_the_photos_count(self) -> None:
        turned = index().iloc[::-1]
        digests = {
            protocol_digest(query, gallery, NONE)
            for query in (index(), turned)
            for gallery in (index(), turned)
        }
        assert len(digests) == 4

    def test_what_no_figure_depends_on_does_not_count(self) -> None:
        assert protocol_digest(index(sequence=[2, 2]), index(), NONE) == protocol_digest(
            index(), index(), NONE
        )

    def test_re_ranking_counts_where_it_is_used(self) -> None:
        def digest(**changes: object) -> str:
            return protocol_digest(index(), index(), NONE | changes)

        assert digest(k1=5) == digest()
        assert digest(use=True) != digest()
        assert digest(use=True, k1=5) != digest(use=True)

    def test_protocol_counts(self) -> None:
        any_camera = protocol_digest(index(), index(), NONE, "any_camera")
        assert any_camera != protocol_digest(index(), index(), NONE, "cross_camera")

    def test_figures_by_any_camera_do_not_beat_a_champion_across_cameras(self) -> None:
        rng = np.random.default_rng(0)
        easier, harder = (drawn(rng, rank1, rank1) for rank1 in (0.95, 0.5))
        digests = [protocol_digest(index(), index(), NONE, p) for p in get_args(Protocol)]
        champion = Contender("1", digests[0], "these photos", harder)
        candidate = Contender("2", digests[1], "these photos, any camera", easier)
        decision = decide(candidate, champion, 1000, 0)
        assert not decision.promoted
        assert "this one on these photos, any camera" in decision.reason
