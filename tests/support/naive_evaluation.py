"""The single-query protocol from its definitions: slow Python loops that share no code with it."""

import math
from collections.abc import Sequence
from typing import Any


def naive_order(
    *,
    query_feature: Sequence[float],
    query_pid: int,
    query_camid: int,
    gf: Sequence[Sequence[float]],
    g_pids: Sequence[int],
    g_camids: Sequence[int],
    any_camera: bool = False,
) -> list[int]:
    """Return the gallery rows in the order of the protocol: in a tie, wrong rows come first.

    ``any_camera`` keeps the rows of the query's person under the query's camera.
    """
    ranked = []
    for row, feature in enumerate(gf):
        if g_pids[row] == -1:
            continue
        is_same_camera = g_camids[row] == query_camid
        if g_pids[row] == query_pid and is_same_camera and not any_camera:
            continue
        similarity = math.fsum(a * b for a, b in zip(query_feature, feature, strict=True))
        is_right = g_pids[row] == query_pid
        ranked.append((-similarity, is_right, row))
    return [row for _, _, row in sorted(ranked)]


def naive_ranks(order: list[int], query_pid: int, g_pids: Sequence[int]) -> list[int]:
    """Return the ranks of the right answers, from 1."""
    return [rank for rank, row in enumerate(order, start=1) if g_pids[row] == query_pid]


def naive_average_precision(ranks: list[int]) -> float:
    return sum(k / rank for k, rank in enumerate(ranks, start=1)) / len(ranks)


def naive_average_precision_official(ranks: list[int]) -> float:
    total = 0.0
    for k, rank in enumerate(ranks, start=1):
        before = 1.0 if rank == 1 else (k - 1) / (rank - 1)
        total += (k / rank + before) / 2
    return total / len(ranks)


def naive_metrics(
    *,
    qf: Sequence[Sequence[float]],
    q_pids: Sequence[int],
    q_camids: Sequence[int],
    gf: Sequence[Sequence[float]],
    g_pids: Sequence[int],
    g_camids: Sequence[int],
    any_camera: bool = False,
) -> dict[str, Any]:
    """Return all figures, and under ``ranks`` the ranks of each query's right answers."""
    all_ranks = []
    for feature, pid, camid in zip(qf, q_pids, q_camids, strict=True):
        order = naive_order(
            query_feature=feature,
            query_pid=pid,
            query_camid=camid,
            gf=gf,
            g_pids=g_pids,
            g_camids=g_camids,
            any_camera=any_camera,
        )
        all_ranks.append(naive_ranks(order, pid, g_pids))
    matched = [ranks for ranks in all_ranks if ranks]
    metrics: dict[str, Any] = {
        "queries": len(all_ranks),
        "queries_without_match": len(all_ranks) - len(matched),
        "gallery": sum(pid != -1 for pid in g_pids),
        "junk": sum(pid == -1 for pid in g_pids),
        "distractors": sum(pid == 0 for pid in g_pids),
        "ranks": all_ranks,
    }
    if matched:
        for k in (1, 5, 10, 20):
            metrics[f"rank{k}"] = sum(ranks[0] <= k for ranks in matched) / len(matched)
        precisions = [naive_average_precision(ranks) for ranks in matched]
        official = [naive_average_precision_official(ranks) for ranks in matched]
        metrics["mAP"] = sum(precisions) / len(matched)
        metrics["mAP_official"] = sum(official) / len(matched)
        metrics["mINP"] = sum(len(ranks) / ranks[-1] for ranks in matched) / len(matched)
    return metrics
