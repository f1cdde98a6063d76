"""What each ingredient of the recipe adds: ``python -m benchmarks.ablation [SEED]``.

Run this in a clone that holds the data set in ``data/``. Each row is one ``dvc exp run``, which
leaves its result in the working tree. The first row is the notebook's recipe, and each row adds an
ingredient to the row above, up to the recipe of the committed ``params.yaml``. An interrupted
benchmark resumes, because DVC doesn't train again what it has in its cache. A row without seconds
per epoch has the model of a row above.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from reid.evaluation.figures import value_and_interval
from runs.fingerprint import fingerprint_now
from runs.one_run_per_result import FINGERPRINT
from runs.params import flatten
from runs.tracking_store import EXPERIMENT, tracking_uri
from runs.worktree import committed_params

Settings = dict[str, Any]

NOTEBOOK: Settings = {
    "model.last_stride": 2,
    "model.neck": False,
    "augmentation.pad": 0,
    "augmentation.colour": 0.0,
    "augmentation.erase": 0.0,
    "triplet.start": "pretrained",
    "baseline.epochs": 1,  # Only the last rows' triplet models are trained from the baseline.
    "triplet.mining": "random",
    "triplet.weight": 1.0,
    "triplet.label_smoothing": 0.0,
    "triplet.refit_epochs": 0,
    "extract.flip": False,
    "optimisation.warmup_epochs": 0,
    "optimisation.decay": "none",
    "optimisation.weight_decay": 0.0,
}
"""The notebook's recipe: a random positive and a random negative for each anchor, mirrored images,
plain softmax, one learning rate."""

INGREDIENTS: dict[str, tuple[str, ...]] = {
    "warm-up and cosine": ("optimisation.warmup_epochs", "optimisation.decay"),
    "hard triplets of the batch": ("triplet.mining",),
    "triplet loss times 10": ("triplet.weight",),
    "batch-norm neck": ("model.neck",),
    "label smoothing": ("triplet.label_smoothing",),
    "weight decay, crop and colour": (
        "optimisation.weight_decay",
        "augmentation.pad",
        "augmentation.colour",
    ),
    "last stride 1": ("model.last_stride",),
    "random erasing": ("augmentation.erase",),
    "mirrored images at test": ("extract.flip",),
    "start from the baseline": ("triplet.start", "baseline.epochs"),
    "refit on all images": ("triplet.refit_epochs",),
}
"""The parameters that each row sets to their values in ``params.yaml``."""


def rows(chosen: Settings) -> Iterator[tuple[str, Settings]]:
    """Yield the name and all settings of each row; the last row has the chosen settings."""
    settings = chosen | NOTEBOOK
    yield "the notebook's recipe", dict(settings)
    for name, keys in INGREDIENTS.items():
        settings |= {key: chosen[key] for key in keys}
        yield name, dict(settings)


def run_row(client: MlflowClient, settings: Settings) -> Run:
    """Run one row, and return the finished MLflow run of its result."""
    overrides = [f"--set-param={key}={json.dumps(value)}" for key, value in settings.items()]
    command = ["dvc", "exp", "run", *overrides]
    if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
        sys.exit(f"error: {' '.join(command)} failed")
    found = client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in found],
        f"tags.{FINGERPRINT} = '{fingerprint_now()}' and attributes.status = 'FINISHED'",
    )
    if not runs:
        sys.exit(f"error: the result of {' '.join(command)} has no finished run in MLflow")
    return runs[0]


def seconds_per_epoch(client: MlflowClient, run: Run) -> str:
    """Return the median time between two live epochs; empty if the model came from the cache."""
    logged = sorted(m.timestamp for m in client.get_metric_history(run.info.run_id, "triplet/loss"))
    gaps = [(after - before) / 1000 for before, after in pairwise(logged)]
    return f"{statistics.median(gaps):.0f}" if gaps and max(gaps) > 1 else ""


def main() -> None:
    """Run the rows and print them as a Markdown table: the triplet model of each."""
    params = committed_params("HEAD")
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else params["seed"]
    client = MlflowClient(tracking_uri(Path.cwd()))
    lines = ["| recipe | rank-1 | mAP | s/epoch |", "|---|---|---|---|"]
    for name, settings in rows(flatten(params)):
        run = run_row(client, settings | {"seed": seed})
        figures = [
            "{} ({})".format(*value_and_interval(run.data.metrics, f"triplet/{key}"))
            for key in ("rank1", "mAP")
        ]
        cells = [name, *figures, seconds_per_epoch(client, run)]
        lines.append(f"| {' | '.join(cells)} |")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
