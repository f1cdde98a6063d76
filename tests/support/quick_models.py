"""Models without a network, for tests of what surrounds a training: ``quick_models.py STAGE``.

Takes the place of the stages that train and extract. It reports its epochs live and writes the
files that the other stages read; each learning rate gives features of its own.
"""

import json
import sys
from pathlib import Path

import dvc.api
import numpy as np
import pandas as pd

from reid.data.dataset import read_subset
from runs.live import live_report

EPOCHS = 3
NOISE = 1.5


def train(name: str) -> None:
    """Write ``models/<name>``."""
    lr = dvc.api.params_show(stages=f"train_{name}")["lr"]
    rows = [{"epoch": epoch, "loss": lr + 1 / epoch} for epoch in range(1, EPOCHS + 1)]
    with live_report(name) as live:
        live.begin()
        for row in rows:
            live.epoch(row)
    folder = Path("models") / name
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "history.csv", index=False)
    for file in ("best.keras", "last.keras", "train.json"):
        (folder / file).write_text(json.dumps({"lr": lr}))


def extract(name: str) -> None:
    """Write ``build/features/<name>``."""
    lr = json.loads((Path("models") / name / "train.json").read_text())["lr"]
    folder = Path("build/features") / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(round(1e6 * lr) + len(name))
    for subset in ("query", "gallery"):
        pids = read_subset(Path("build/dataset"), subset)["pid"].to_numpy(np.int64)
        people = np.stack([np.random.default_rng(pid + 1).standard_normal(16) for pid in pids])
        features = people + NOISE * rng.standard_normal(people.shape)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        np.save(folder / f"{subset}.npy", features.astype(np.float32))


if __name__ == "__main__":
    kind, _, model = sys.argv[1].replace("@", "_").partition("_")
    (train if kind == "train" else extract)(model)
