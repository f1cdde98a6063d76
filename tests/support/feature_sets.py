"""Small query sets and galleries for tests of the protocol and of what builds on it."""

from dataclasses import fields
from itertools import product

import numpy as np
from hypothesis import strategies as st

from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import Ranking
from tests.support.places import FIXTURES, SHARED

Problem = tuple[FeatureSet, FeatureSet]
"""A query set and a gallery."""

OWN_FIXTURE = FIXTURES / "evaluation.npz"
"""Drawn by `tests.support.draw_evaluation_fixture`."""
SHARED_FIXTURE = SHARED / "fixtures" / "market_eval.npz"

EXACT_VECTORS = np.array(
    [*product((-0.5, 0.5), repeat=4), *np.eye(4), *-np.eye(4)], dtype=np.float32
)
"""Unit vectors whose dot products are exact in any order of summation, and often equal."""


def unit_rows(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    """Draw random features of length 1."""
    features = rng.standard_normal((rows, width))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def alike(rows: int, width: int = 8) -> np.ndarray:
    """Return the same feature in every row."""
    return np.tile(unit_rows(np.random.default_rng(3), 1, width), (rows, 1))


def assert_same(ranking: Ranking, other: Ranking) -> None:
    """Check that two rankings are the same to the last bit."""
    for field in fields(Ranking):
        np.testing.assert_array_equal(getattr(ranking, field.name), getattr(other, field.name))


def permuted(gallery: FeatureSet, order: np.ndarray) -> FeatureSet:
    """Take rows of a gallery in a given order."""
    return FeatureSet(gallery.features[order], gallery.pids[order], gallery.camids[order])


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw small sets with many ties, junk, distractors and people without a right answer."""

    def feature_set(least_pid: int, most_rows: int) -> FeatureSet:
        rows = draw(st.integers(1, most_rows))

        def column(least: int, most: int) -> list[int]:
            return draw(st.lists(st.integers(least, most), min_size=rows, max_size=rows))

        vectors = column(0, len(EXACT_VECTORS) - 1)
        pids, camids = column(least_pid, 3), column(1, 3)
        return FeatureSet(EXACT_VECTORS[vectors], np.array(pids), np.array(camids))

    return feature_set(1, 6), feature_set(-1, 40)
