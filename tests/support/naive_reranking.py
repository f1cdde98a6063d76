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


def naive_final_distances(
    qf: Sequence[Feature], gf: Sequence[Feature], *, k1: int, k2: int, original_weight: float
) -> list[list[float]]:
    """Return the final distance of each query to each gallery row."""
    features = [*qf, *gf]
    rows = range(len(features))

    distance = []
    for p in rows:
        squared = [naive_squared_distance(features[p], features[g]) for g in rows]
        distance.append([d / (max(squared) or 1) for d in squared])

    orders = [
        sorted(rows, key=lambda g: (features[g] != features[p], d[g], naive_bytes(features[g])))
        for p, d in enumerate(distance)
    ]
    # The row itself comes in addition to its k1 neighbours.
    whole = [naive_neighbourhood(order, features, k1 + 1) for order in orders]
    half = [naive_neighbourhood(order, features, round(k1 / 2) + 1) for order in orders]
    averaged = [naive_neighbourhood(order, features, k2) for order in orders]

    encoding = []
    for p in rows:
        reciprocal = naive_reciprocal(p, whole)
        members = set(reciprocal)
        for c in reciprocal:
            candidates = naive_reciprocal(c, half)
            if 3 * len(candidates & reciprocal) > 2 * len(candidates):
                members |= candidates
        weight = [math.exp(-distance[p][g]) if g in members else 0.0 for g in rows]
        encoding.append([w / math.fsum(weight) for w in weight])

    expanded = [
        [math.fsum(encoding[n][g] for n in averaged[p]) / len(averaged[p]) for g in rows]
        for p in rows
    ]

    final: list[list[float]] = []
    for p in rows[: len(qf)]:
        final.append([])
        for g in rows[len(qf) :]:
            smaller = math.fsum(map(min, expanded[p], expanded[g]))
            larger = math.fsum(map(max, expanded[p], expanded[g]))
            jaccard = 1 - smaller / larger
            final[-1].append((1 - original_weight) * jaccard + original_weight * distance[p][g])
    return final
