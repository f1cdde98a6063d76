"""Draw ``fixtures/evaluation.npz`` and score it by the naive implementation.

Run as ``python -m tests.support.draw_evaluation_fixture``. The features are noise around one
direction per person. The gallery holds junk, distractors, and copies of right answers under the
pids of other people, so that right and wrong answers tie. The last four queries show people whom
no other camera saw. ``fixtures/evaluation.json`` holds the figures.
"""

import json

import numpy as np

from tests.support.naive_evaluation import naive_metrics
from tests.support.places import FIXTURES

SEED = 1501
PEOPLE, CAMERAS, WIDTH = 12, 4, 16
QUERIES, PEOPLE_ROWS, DISTRACTORS, JUNK, COPIES, UNMATCHED = 40, 150, 40, 30, 20, 4


def draw() -> dict[str, np.ndarray]:
    """Draw the arrays of the file."""
    rng = np.random.default_rng(SEED)
    directions = rng.standard_normal((PEOPLE + UNMATCHED + 1, WIDTH))
    directions[0] = 0

    def features(pids: np.ndarray) -> np.ndarray:
        rows = directions[np.maximum(pids, 0)] + 1.2 * rng.standard_normal((len(pids), WIDTH))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    alone = np.arange(PEOPLE + 1, PEOPLE + UNMATCHED + 1)
    q_pids = np.concatenate((rng.integers(1, PEOPLE + 1, QUERIES - UNMATCHED), alone))
    q_camids = rng.integers(1, CAMERAS + 1, QUERIES)
    g_pids = rng.integers(1, PEOPLE + 1, PEOPLE_ROWS)
    g_pids = np.concatenate((g_pids, np.repeat([0, -1], [DISTRACTORS, JUNK]), alone))
    g_camids = rng.integers(1, CAMERAS + 1, len(g_pids))
    g_camids[-UNMATCHED:] = q_camids[-UNMATCHED:]
    gf = features(g_pids)

    copied = rng.choice(PEOPLE_ROWS, COPIES, replace=False)
    gf = np.concatenate((gf, gf[copied]))
    g_pids = np.concatenate((g_pids, g_pids[copied] % PEOPLE + 1))
    g_camids = np.concatenate((g_camids, g_camids[copied]))
    order = rng.permutation(len(g_pids))
    return {
        "qf": features(q_pids),
        "gf": gf[order],
        "q_pids": q_pids,
        "g_pids": g_pids[order],
        "q_camids": q_camids,
        "g_camids": g_camids[order],
    }


def main() -> None:
    """Write both files."""
    arrays = draw()
    np.savez_compressed(FIXTURES / "evaluation.npz", allow_pickle=False, **arrays)
    metrics = naive_metrics(**{key: array.tolist() for key, array in arrays.items()})
    del metrics["ranks"]
    (FIXTURES / "evaluation.json").write_text(json.dumps(metrics, indent=2) + "\n")


if __name__ == "__main__":
    main()
