"""Models without a network, for tests of what surrounds a training.

``python quick_models.py train_baseline`` takes the place of the stage of that name, in a project's
folder; ``export_baseline`` and ``extract_baseline`` likewise. It writes the files that the other
stages read. Each learning rate gives other features, and learning rates above 1 diverge. If
``REPORT_LIVE`` is set in the environment, a training logs its epochs live, and waits after the
first of them while ``HOLD`` is there.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dvc.api
import numpy as np
import pandas as pd
import yaml

from reid.common.errors import UserError
from reid.data import paths
from reid.data.dataset import read_subset
from runs.live_epochs import live_report
from stages._stage import run

EPOCHS = 3
HOLD = Path(".dvc/tmp/hold")
NOISE = 1.5
DIVERGED = "the loss of the quick model is NaN"


def use_quick_models(root: Path, stages: Sequence[str]) -> None:
    """Let stages of a project make their files with a copy of this module."""
    shutil.copyfile(__file__, root / "quick_models.py")
    pipeline = root / paths.PIPELINE
    content = yaml.safe_load(pipeline.read_text())
    for stage in stages:
        model = "_${item.model}" if "matrix" in content["stages"][stage] else ""
        content["stages"][stage]["cmd"] = f"python quick_models.py {stage}{model}"
    pipeline.write_text(yaml.safe_dump(content, sort_keys=False))


def train(name: str) -> None:
    """Write ``models/<name>``."""
    lr = dvc.api.params_show(stages=f"train_{name}")["lr"]
    rows = [{"epoch": epoch, "loss": lr + 1 / epoch} for epoch in range(1, EPOCHS + 1)]
    if "REPORT_LIVE" in os.environ:
        with live_report(name) as live:
            live.begin()
            for row in rows:
                live.epoch(row)
                while HOLD.exists():
                    time.sleep(0.02)
    if lr > 1:
        raise UserError(DIVERGED)
    folder = paths.model_folder(name)
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(paths.history_file(folder), index=False)
    for file in ("best.keras", "last.keras", "train.json"):
        (folder / file).write_text(json.dumps({"lr": lr}))


def export(name: str) -> None:
    """Write ``build/networks/<name>``, with nothing that an engine could read."""
    folder = paths.exported_folder(name)
    folder.mkdir(parents=True)
    shutil.copyfile(paths.model_folder(name) / "train.json", folder / "network.json")


def extract(name: str) -> None:
    """Write ``build/features/<name>``."""
    # A model that Keras trained has no learning rate in this file.
    lr = json.loads((paths.model_folder(name) / "train.json").read_text()).get("lr", 0.01)
    folder = paths.features_folder(name)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(round(1e6 * lr) + len(name))
    for subset in ("query", "gallery"):
        pids = read_subset(paths.DATASET, subset)["pid"].to_numpy(np.int64)
        people = np.stack([np.random.default_rng(pid + 1).standard_normal(16) for pid in pids])
        features = people + NOISE * rng.standard_normal(people.shape)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        np.save(paths.embeddings_file(folder, subset), features.astype(np.float32))


def main() -> None:
    """Run the stage that is named on the command line."""
    kind, _, model = sys.argv[1].partition("_")
    {"train": train, "export": export, "extract": extract}[kind](model)


if __name__ == "__main__":
    run(main)
