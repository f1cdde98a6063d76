"""Models without a network, for tests of what surrounds a training.

``python quick_models.py baseline baseline`` takes the place of the stage ``train_baseline``, and of
the stages that export and embed its model, in a project's folder: it trains the model that is named
first, and embeds with the others. It writes the files that the other stages read. Each learning
rate gives other features, and learning rates above 1 diverge. If ``REPORT_LIVE`` is set in the
environment, a training logs its epochs live, and waits after the first of them while ``HOLD`` is
there.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from reid.common.errors import UserError
from reid.data import paths
from reid.data.dataset import read_subset
from runs.declarations import declared_params
from runs.live_epochs import live_report
from stages._stage import run

EPOCHS = 3
HOLD = Path(".dvc/tmp/hold")
NOISE = 1.5
DIVERGED = "the loss of the quick model is NaN"


def use_quick_models(root: Path, trained: Sequence[str] = paths.MODELS) -> None:
    """Let a project make models of its own pipeline with a copy of this module.

    The pipeline then has fewer stages, dependencies and plots, because DVC takes time for each.

    Args:
        root: the project's folder.
        trained: the models to train without a network. All models embed without a network.
    """
    shutil.copyfile(__file__, root / "quick_models.py")
    pipeline = root / paths.PIPELINE
    content = yaml.safe_load(pipeline.read_text())
    stages = content["stages"]
    del stages["export"], stages["extract"]
    content["plots"] = content["plots"][:1]
    for model in trained:
        before = paths.MODELS[: paths.MODELS.index(model)]
        embedded = (model, *(other for other in before if other not in trained))
        folders = (paths.exported_folder, paths.features_folder)
        stages[f"train_{model}"] = {
            "cmd": f"python quick_models.py {model} {' '.join(embedded)}",
            "deps": [
                *("quick_models.py", str(paths.DATASET), str(paths.SPLIT)),
                *(str(paths.model_folder(other)) for other in before),
            ],
            "params": ["lr", model],
            "outs": [
                str(paths.model_folder(model)),
                *(str(folder(other)) for other in embedded for folder in folders),
            ],
        }
    pipeline.write_text(yaml.safe_dump(content, sort_keys=False))


def train(name: str) -> None:
    """Write ``models/<name>``."""
    lr = declared_params(f"train_{name}")["lr"]
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
    for file in ("best.keras", "last.keras", "final.keras", "train.json"):
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
    """Train the model that the command line names first, and embed with those that follow."""
    trained, *embedded = sys.argv[1:]
    train(trained)
    for model in embedded:
        export(model)
        extract(model)


if __name__ == "__main__":
    run(main)
