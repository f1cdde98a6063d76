"""k-reciprocal re-ranking from its definition: slow Python loops that share no code with it."""

import math
import struct
from collections.abc import Sequence

Feature = Sequence[float]


def naive_squared_distance(one: Feature, other: Feature) -> float:
    return math.fsum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def naive_bytes(feature: Feature) -> bytes:
    """Return the bytes that decide between different features at the same distance."""
    return struct.pack(f"={len(feature)}f", *(0.0 if x == 0 else x for x in feature))


def naive_neighbourhood(order: list[int], features: Sequence[Feature], rows: int) -> set[int]:
    """Return the first rows of an order, and all rows equal to the last of them."""
    first = order[:rows]
    equal_to_last = [row for row in order if features[row] == features[first[-1]]]
    return {*first, *equal_to_last}


def naive_reciprocal(row: int, neighbourhoods: Sequence[set[int]]) -> set[int]:
    return {other for other in neighbourhoods[row] if row in neighbourhoods[other]}


class NaiveEncodings:
    """How each of some rows is encoded by its k-reciprocal neighbours."""

    def __init__(self, features: Sequence[Feature], k1: int, k2: int) -> None:
        rows = range(len(features))
        self.squared = [
            [naive_squared_distance(features[p], features[g]) for g in rows] for p in rows
        ]
        self.distance = [naive_shares(squared) for squared in self.squared]
        orders = [
            sorted(rows, key=lambda g: (features[g] != features[p], d[g], naive_bytes(features[g])))
            for p, d in enumerate(self.distance)
        ]
        # The row itself comes in addition to its k1 neighbours.
        whole = [naive_neighbourhood(order, features, k1 + 1) for order in orders]
        half = [naive_neighbourhood(order, features, round(k1 / 2) + 1) for order in orders]
        averaged = [naive_neighbourhood(order, features, k2) for order in orders]
        self.half = [naive_reciprocal(p, half) for p in rows]

        self.encoding = []
        for p in rows:
            reciprocal = naive_reciprocal(p, whole)
            members = set(reciprocal)
            for c in reciprocal:
                candidates = self.half[c]
                if 3 * len(candidates & reciprocal) > 2 * len(candidates):
                    members |= candidates
            weight = [math.exp(-self.distance[p][g]) if g in members else 0.0 for g in rows]
            self.encoding.append([w / math.fsum(weight) for w in weight])

        self.averaged = [
            [math.fsum(self.encoding[n][g] for n in averaged[p]) / len(averaged[p]) for g in rows]
            for p in rows
        ]


def naive_shares(squared: Sequence[float]) -> list[float]:
    """Divide distances by the largest."""
    return [d / (max(squared) or 1) for d in squared]


def naive_jaccard(one: Sequence[float], other: Sequence[float]) -> float:
    smaller = math.fsum(map(min, one, other))
    larger = math.fsum(map(max, one, other))
    return 1 - smaller / larger


def naive_final_distances(
    qf: Sequence[Feature], gf: Sequence[Feature], *, k1: int, k2: int, original_weight: float
) -> list[list[float]]:
    """Return the final distance of each query to each gallery row."""
    encodings = NaiveEncodings([*qf, *gf], k1, k2)
    rows = range(len(qf) + len(gf))
    final: list[list[float]] = []
    for p in rows[: len(qf)]:
        final.append([])
        for g in rows[len(qf) :]:
            jaccard = naive_jaccard(encodings.averaged[p], encodings.averaged[g])
            original = encodings.distance[p][g]
            final[-1].append((1 - original_weight) * jaccard + original_weight * original)
    return final


def naive_final_distances_alone(
    query: Feature, gf: Sequence[Feature], *, k1: int, k2: int, original_weight: float
) -> list[float]:
    """Return the final distance of one query to each row of a gallery that was encoded before."""
    gallery = NaiveEncodings(gf, k1, k2)
    rows = range(len(gf))
    squared = [naive_squared_distance(query, feature) for feature in gf]
    distance = naive_shares(squared)
    order = sorted(rows, key=lambda g: (squared[g], naive_bytes(gf[g])))

    def mutual(k: int) -> set[int]:
        """Return the rows among the query's k nearest for which it is among the k nearest."""
        near = naive_neighbourhood(order, gf, k) if k else set()
        return {g for g in near if sum(d < squared[g] for d in gallery.squared[g]) <= k}

    reciprocal, reciprocal_half = mutual(k1), mutual(round(k1 / 2))
    members = set(reciprocal)
    for c in reciprocal:
        own = c in reciprocal_half
        common = len(gallery.half[c] & reciprocal) + own
        if 3 * common > 2 * (len(gallery.half[c]) + own):
            members |= gallery.half[c]
    # The last place is that of the query itself.
    weight = [math.exp(-distance[g]) if g in members else 0.0 for g in rows] + [1.0]
    encoding = [w / math.fsum(weight) for w in weight]
    nearest = naive_neighbourhood(order, gf, k2 - 1) if k2 > 1 else set()
    joined = [encoding, *([*gallery.encoding[n], 0.0] for n in nearest)]
    averaged = [math.fsum(column) / len(joined) for column in zip(*joined, strict=True)]
    return [
        (1 - original_weight) * naive_jaccard(averaged, [*gallery.averaged[g], 0.0])
        + original_weight * distance[g]
        for g in rows
    ]


def naive_expanded_similarities(query: Feature, gf: Sequence[Feature], k: int) -> list[float]:
    """Return the similarity of the mean of a query and its first k answers to each gallery row."""

    def similarity(one: Feature, other: Feature) -> float:
        return math.fsum(a * b for a, b in zip(one, other, strict=True))

    first = sorted(range(len(gf)), key=lambda g: (-similarity(query, gf[g]), g))[:k]
    joined = [math.fsum(column) for column in zip(query, *(gf[g] for g in first), strict=True)]
    length = math.sqrt(similarity(joined, joined))
    mean = [x / length for x in joined] if length else query
    return [similarity(mean, feature) for feature in gf]
