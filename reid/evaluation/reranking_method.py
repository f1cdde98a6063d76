"""The ways to re-rank: their names in parameters, their numbers in metrics, and words for them.

Two of them look at one query and the gallery, as a service does. The third, k-reciprocal re-ranking
of all queries together, is what papers report. It gains from the other queries of the test set,
which nobody has who asks with one photo.
"""

from typing import Literal

RerankingMethod = Literal["k_reciprocal", "k_reciprocal_alone", "query_expansion"]
"""The module of `reid.evaluation` that re-ranks."""

WORDS: dict[RerankingMethod, str] = {
    "k_reciprocal": "re-ranked with the help of the other queries",
    "k_reciprocal_alone": "re-ranked one query at a time",
    "query_expansion": "re-ranked by query expansion",
}
"""What is said of figures by each way."""


def reranking_number(method: RerankingMethod) -> int:
    """Return the number that stands for a way in ``metrics/<model>.json``, from 1; 0 is none."""
    return 1 + list(WORDS).index(method)


def words_for_reranking(number: float) -> str:
    """Return what is added to a sentence about figures; empty if they are not re-ranked.

    ``number``: the value of ``reranked`` in ``metrics/<model>.json``.
    """
    return f", {list(WORDS.values())[int(number) - 1]}" if number else ""
