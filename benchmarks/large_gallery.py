"""Evaluate Market-1501 with half a million distractors, next to the matrix product alone.

Run from the repository's root: ``python -m benchmarks.large_gallery``. It writes 2.7 GB into the
folder for temporary files. The features are synthetic, drawn as in ``benchmarks.evaluation``. What
is timed is what the stage ``evaluate`` does from the file of features to the figures: ranks,
answers, distances, intervals and pairs of cameras.
"""

import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import typer
import yaml

from benchmarks.evaluation import CAMERAS, market_sized
from reid.data import paths
from reid.data.market import DISTRACTOR_PID
from reid.evaluation.breakdown import wrong_first_answers
from reid.evaluation.distances import EUCLIDEAN, DistanceHistograms
from reid.evaluation.large_gallery import ROWS_AT_ONCE
from reid.protocol.feature_set import FeatureSet
from stages.evaluate import Params, figures, ranked, read_gallery

DISTRACTORS = 500_000
"""The distractors of Market-1501 + 500k."""
NOISE = 2.7
"""Less than in ``benchmarks.evaluation``: so many distractors make it harder for a model."""


def write_gallery(folder: Path, market: FeatureSet) -> pd.DataFrame:
    """Write the features of a gallery and the distractors, and return the columns of the rows."""
    rng = np.random.default_rng(500)
    count, width = len(market) + DISTRACTORS, market.features.shape[1]
    with paths.embeddings_file(folder, "gallery").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
        np.lib.format.write_array_header_1_0(file, header)
        market.features.tofile(file)
        for start in range(0, DISTRACTORS, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, DISTRACTORS - start)
            features = rng.standard_normal((rows, width), dtype=np.float32)
            (features / np.linalg.norm(features, axis=1, keepdims=True)).tofile(file)
    pids = np.concatenate((market.pids, np.full(DISTRACTORS, DISTRACTOR_PID)))
    camids = np.concatenate((market.camids, rng.integers(1, CAMERAS + 1, DISTRACTORS)))
    return pd.DataFrame({"pid": pids, "camid": camids})


def evaluation_seconds(query: FeatureSet, features: Path, rows: pd.DataFrame) -> float:
    """Evaluate once, and print the figures."""
    chosen = yaml.safe_load(Path(paths.PARAMS).read_text(encoding="utf-8"))
    params = Params(seed=chosen["seed"], processor="this", evaluate=chosen["evaluate"])
    began = time.perf_counter()
    gallery = read_gallery(features, rows, reranking=False)
    distances = DistanceHistograms(EUCLIDEAN)
    found = ranked(query, gallery, params, distances.add)
    wrong = wrong_first_answers(found.ranking, found.answers, gallery.pids)
    metrics = figures(found.ranking, wrong, query, gallery, params)
    pairs = found.camera_pairs()
    distances.table()
    seconds = time.perf_counter() - began
    print({figure: metrics[figure] for figure in ("rank1", "mAP", "mINP", "gallery")})
    print(f"{len(pairs)} pairs of cameras, rank-1 from {pairs['rank1'].min():.3f}")
    return seconds


def product_seconds(query: FeatureSet, gallery_rows: int) -> float:
    """Multiply the queries by as many rows as the gallery has, all ready in memory."""
    rows = np.resize(query.features, (ROWS_AT_ONCE, query.features.shape[1]))
    began = time.perf_counter()
    for start in range(0, gallery_rows, ROWS_AT_ONCE):
        query.features @ rows[: gallery_rows - start].T
    return time.perf_counter() - began


def main(width: int = 1280, repeats: int = 3) -> None:
    """Print the times in turns, their ratio and the peak memory of the process."""
    query, market = market_sized(width, NOISE)
    with TemporaryDirectory() as temporary:
        features = Path(temporary)
        rows = write_gallery(features, market)
        del market
        print(f"{len(query):,} queries x {len(rows):,} gallery rows x {width}")
        for _ in range(repeats):
            before = product_seconds(query, len(rows))
            evaluation = evaluation_seconds(query, features, rows)
            product = (before + product_seconds(query, len(rows))) / 2
            print(
                f"matrix product {product:.1f} s, evaluation {evaluation:.1f} s: "
                f"{evaluation / product:.2f} times the product"
            )
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mib:.0f} MiB")


if __name__ == "__main__":
    typer.run(main)
