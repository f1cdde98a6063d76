"""Re-ranking as the parameters choose it."""

from collections.abc import Iterator

from pydantic import Field

from reid.common.arrays import FloatArray
from reid.evaluation.k_reciprocal import KReciprocal, similarities_together
from reid.evaluation.k_reciprocal_alone import similarities_alone
from reid.evaluation.query_expansion import expanded_similarities
from reid.evaluation.reranking_method import RerankingMethod


class Reranking(KReciprocal):
    """The parameters of re-ranking: those of k-reciprocal neighbours, and those below."""

    method: RerankingMethod = "k_reciprocal"
    expansion: int = Field(default=3, ge=1)
    """The number of first answers that ``query_expansion`` adds to a query."""

    def similarities(
        self, queries: FloatArray, gallery: FloatArray, block: int
    ) -> Iterator[FloatArray]:
        """Yield what to rank by, ``block`` queries at a time: float32 (b, m).

        ``queries``: (q, d) and ``gallery``: (m, d) without junk, float32, rows of length 1. The
        functions that this calls say how much time and memory they take.
        """
        match self.method:
            case "k_reciprocal":
                return similarities_together(queries, gallery, block, self)
            case "k_reciprocal_alone":
                return similarities_alone(queries, gallery, block, self)
            case "query_expansion":
                return expanded_similarities(queries, gallery, block, self.expansion)
