"""A network in float32, bfloat16 and int8: ``python -m benchmarks.precisions [WEIGHTS.keras]``.

All embed the query and gallery photos of ``build/dataset`` on OpenVINO, with mirror images. Photos
are decoded before; the networks take turns. Without instructions for it, bfloat16 is left out.
"""

import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figures import TURNS
from reid.data import paths
from reid.data.dataset import decoded_batches, read_subset
from reid.data.images import decode_all
from reid.inference.engine import Engine, load_engine
from reid.inference.export import export_network
from reid.inference.int8 import calibration_photos, quantise
from reid.inference.openvino_engine import has_bfloat16
from reid.model.network import load_network, retrieval_network
from reid.protocol.feature_set import FeatureSet
from reid.protocol.ranking import rank_queries, summarise

WEIGHTS = paths.network_file(paths.model_folder(paths.TRIPLET), "final")


def embedded(engine: Engine, subset: str) -> tuple[FeatureSet, float]:
    """Embed a subset. Return its features and the photos per second."""
    file = paths.subset_file(paths.DATASET, subset)
    photos = np.concatenate([*decoded_batches(file, 256, engine.height, engine.width)])
    began = time.perf_counter()
    embeddings = engine.embed([photos])
    seconds = time.perf_counter() - began
    rows = read_subset(paths.DATASET, subset)
    pids, camids = (rows[column].to_numpy(np.int64) for column in ("pid", "camid"))
    return FeatureSet(embeddings, pids, camids), len(photos) / seconds


def main() -> None:
    """Print a table."""
    weights = Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS
    table = Table(title=f"{weights}, {TURNS} turns")
    for column in ("network", "MB", "photos/s", "rank-1", "mAP"):
        table.add_column(column, justify="right")
    with TemporaryDirectory() as folder:
        plain, quantised = Path(folder, "float32"), Path(folder, "int8")
        model = retrieval_network(load_network(weights), flip=True)
        plain.mkdir()
        file = export_network(model, "openvino", plain)
        shutil.copytree(plain, quantised)
        photos = decode_all(calibration_photos(paths.DATASET), *model.input_shape[1:3])
        quantise(quantised / file.name, photos)
        places = {"float32": plain, "bfloat16": plain, "int8": quantised}
        if not has_bfloat16():
            del places["bfloat16"]
        engines = {
            kind: load_engine(place, precision="bfloat16" if kind == "bfloat16" else "float32")
            for kind, place in places.items()
        }
        speeds: dict[str, list[float]] = {kind: [] for kind in engines}
        figures = {}
        for _ in range(TURNS):
            for kind, engine in engines.items():
                query, _ = embedded(engine, "query")
                gallery, speed = embedded(engine, "gallery")
                speeds[kind].append(speed)
                figures[kind] = summarise(rank_queries(query, gallery), gallery.pids)
        for kind, place in places.items():
            size = sum(path.stat().st_size for path in place.iterdir()) / 1e6
            low, middle, high = sorted(speeds[kind])
            shown = (figures[kind].rank1, figures[kind].mAP)
            table.add_row(
                kind,
                f"{size:.1f}",
                f"{middle:.0f} ({low:.0f}-{high:.0f})",
                *(f"{100 * figure:.1f}" for figure in shown),
            )
    Console().print(table)


if __name__ == "__main__":
    main()
