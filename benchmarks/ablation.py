"""What each ingredient of the recipe adds: ``python -m benchmarks.ablation [SEED]``.

Run it in a clone that holds the data set in ``data/``. Each row is one ``dvc exp run`` that adds an
ingredient to the row above it, from the notebook's recipe to that of ``params.yaml``. Rows that are
there already are not run again, so what was interrupted goes on.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from reid.report import value_and_interval
from reid.tracking import EXPERIMENT, flatten, tracking_uri

Settings = dict[str, Any]

NOTEBOOK: Settings = {
    "model.last_stride": 2,
    "model.neck": False,
    "augmentation.pad": 0,
    "augmentation.colour": 0.0,
    "augmentation.erase": 0.0,
    "triplet.start": "pretrained",
    "triplet.mining": "random",
    "triplet.weight": 1.0,
    "triplet.label_smoothing": 0.0,
    "extract.flip": False,
}
"""One positive and one negative drawn at random for each anchor, mirrored images, plain softmax."""

INGREDIENTS: dict[str, tuple[str, ...]] = {
    "hard triplets of the batch": ("triplet.mining",),
    "triplet loss times 10": ("triplet.weight",),
    "batch-norm neck": ("model.neck",),
    "label smoothing": ("triplet.label_smoothing",),
    "crop and colour": ("augmentation.pad", "augmentation.colour"),
    "last stride 1": ("model.last_stride",),
    "random erasing": ("augmentation.erase",),
    "mirrored images at test": ("extract.flip",),
    "start from the baseline": ("triplet.start",),
}
"""What each row sets to the value of ``params.yaml``."""


def rows(chosen: Settings) -> Iterator[tuple[str, Settings]]:
    """Name and settings of each row; the last one's settings are the chosen ones."""
    settings = dict(NOTEBOOK)
    yield "the notebook's recipe", dict(settings)
    for name, keys in INGREDIENTS.items():
        settings |= {key: chosen[key] for key in keys}
        yield name, dict(settings)


def finished(client: MlflowClient, experiment: str) -> Run | None:
    """The whole run of a DVC experiment, if there is one."""
    found = client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in found],
        f"tags.dvc_exp = '{experiment}' and attributes.status = 'FINISHED'",
    )
    return runs[0] if runs else None


def run_row(client: MlflowClient, experiment: str, settings: Settings) -> Run:
    """Run one row, unless it is there."""
    there = finished(client, experiment)
    if there is None:
        overrides = [f"--set-param={key}={json.dumps(value)}" for key, value in settings.items()]
        command = ["dvc", "exp", "run", "--name", experiment, *overrides]
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            sys.exit(f"error: {' '.join(command)} failed")
        there = finished(client, experiment)
    if there is None:
        sys.exit(f"error: {experiment} has no finished run in MLflow")
    return there


def seconds_per_epoch(client: MlflowClient, run: Run, model: str) -> float:
    """Median time between two epochs reported live; nan where the model came from the cache."""
    told = sorted(m.timestamp for m in client.get_metric_history(run.info.run_id, f"{model}/loss"))
    gaps = [(after - before) / 1000 for before, after in pairwise(told)]
    return statistics.median(gaps) if gaps and max(gaps) > 1 else float("nan")


def main() -> None:
    """Run the rows and print them as a Markdown table."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else params["seed"]
    client = MlflowClient(tracking_uri(Path.cwd()))
    lines = ["| recipe | baseline rank-1 | mAP | s/epoch | triplet rank-1 | mAP | s/epoch |"]
    lines.append("|---" * 7 + "|")
    for number, (name, settings) in enumerate(rows(flatten(params))):
        run = run_row(client, f"ablation-{seed}-{number}", settings | {"seed": seed})
        cells = [name]
        for model in ("baseline", "triplet"):
            figures = (f"{model}/{key}" for key in ("rank1", "mAP"))
            cells += ["{} ({})".format(*value_and_interval(run.data.metrics, f)) for f in figures]
            cells.append(f"{seconds_per_epoch(client, run, model):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
