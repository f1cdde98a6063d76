"""Which registered version is the champion: a better version replaces it, a luckier one doesn't.

Two versions are compared on the same queries and gallery by the paired bootstrap over people of
`reid.evaluation.confidence`. The decision's reason is given in words for readers of the registry.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reid.common.errors import UserError
from reid.data.protocols import CROSS_CAMERA, Protocol
from reid.evaluation.confidence import Comparison, Difference, compare
from reid.evaluation.figures import FIGURES, in_points
from reid.evaluation.ranking_file import RankedQueries

PHOTO_FACTS = ["name", "pid", "camid", "sha256"]
"""The facts about a photo that a ranking depends on: its pixels, its person and its camera."""


@dataclass(frozen=True)
class Contender:
    """A version of the model, and how it ranked which queries."""

    version: str
    protocol: str
    """The `protocol_digest` of the data that it was measured on."""
    data: str
    """A description of these data in words."""
    ranking: RankedQueries | None
    """The ranking; None if it can't be read, or if the protocols differ and it isn't needed."""


@dataclass(frozen=True)
class Decision:
    """Whether a version becomes champion, and why."""

    promoted: bool
    reason: str
    """The reason, as it follows on "because"."""
    compared_with: str | None = None
    """The champion's version that the candidate was compared with; None if it could not be."""
    not_compared_with: str | None = None
    """The champion's version that the candidate could not be compared with."""


def protocol_digest(
    query: pd.DataFrame,
    gallery: pd.DataFrame,
    reranking: Mapping[str, Any],
    protocol: Protocol = CROSS_CAMERA,
) -> str:
    """Return the hash of what figures must have in common to be compared, 64 hex digits.

    The hash covers every photo of query and gallery, the people on them, their order, the
    re-ranking, if any, and the protocol. It doesn't cover the training data.

    Args:
        query: the index of the subset, with ``name``, ``pid``, ``camid`` and ``sha256``.
        gallery: likewise.
        reranking: the parameters, with ``use``.
        protocol: the protocol of the figures.
    """
    digest = hashlib.sha256()
    for subset in (query, gallery):
        digest.update(subset[PHOTO_FACTS].to_csv(index=False).encode())
    used = sorted(reranking.items()) if reranking["use"] else "none"
    digest.update(repr(used).encode())
    # Versions that were registered before there was a choice keep their hash.
    if protocol != CROSS_CAMERA:
        digest.update(protocol.encode())
    return digest.hexdigest()


def decide(candidate: Contender, champion: Contender | None, resamples: int, seed: int) -> Decision:
    """Promote a version that beats the champion in rank-1 and in mAP by more than the noise.

    That is the case if the 95 % intervals of both paired differences lie above 0. If the two
    can't be compared, the champion stays: nothing shows that the candidate is better.

    Args:
        candidate: the version to judge, with its ranking.
        champion: the present champion; None if there is none.
        resamples: the number of draws of people, at least
            `reid.evaluation.confidence.MIN_RESAMPLES`.
        seed: of the draws.
    """
    if champion is None:
        return Decision(True, "there was no champion")
    against = f"champion version {champion.version}"
    if candidate.protocol != champion.protocol:
        return Decision(
            False,
            f"{against} was measured on another test ({champion.data}; this one on "
            f"{candidate.data}), and nothing shows which of the two is better",
            not_compared_with=champion.version,
        )
    if candidate.ranking is None or champion.ranking is None:
        return Decision(
            False,
            f"the ranking of {against} can't be read, so the two can't be compared",
            not_compared_with=champion.version,
        )
    try:
        test = compare(
            candidate.ranking.ranking,
            champion.ranking.ranking,
            candidate.ranking.pids,
            resamples,
            seed,
        )
    except UserError as e:
        return Decision(
            False,
            f"it can't be compared with {against}: {e}",
            not_compared_with=champion.version,
        )
    figures = f"{_figures(test)} against {against}, over {test.people} people"
    is_better = test.rank1.low > 0 and test.mAP.low > 0
    return Decision(is_better, f"{_verdict(test)}: {figures}", champion.version)


def _verdict(test: Comparison) -> str:
    differences = {FIGURES["rank1"]: test.rank1, FIGURES["mAP"]: test.mAP}
    better = [name for name, difference in differences.items() if difference.low > 0]
    worse = [name for name, difference in differences.items() if difference.high < 0]
    if len(better) == len(differences):
        return "both figures are better by more than chance"
    if worse:
        return f"{' and '.join(worse)} {'are' if len(worse) > 1 else 'is'} worse"
    if better:
        return f"only {better[0]} is better by more than chance"
    return "neither figure differs by more than chance"


def _figures(test: Comparison) -> str:
    return f"rank-1 {_points(test.rank1)}, mAP {_points(test.mAP)}"


def _points(difference: Difference) -> str:
    return in_points(difference.difference, difference.low, difference.high)
