"""A stage that writes a model and metrics at once: ``python -m tests.support.train_at_once``.

``KIND_OF_PROCESSOR`` changes the model and moves rank-1, as another processor does.
``TRAIN_BY_CHANCE`` makes each model a different one.
"""

import json
import os
import random
from pathlib import Path

from reid.data import paths
from reid.evaluation.figures import COUNTS, FIGURES


def main() -> None:
    """Write ``models`` and ``metrics``."""
    moved = float(os.environ.get("KIND_OF_PROCESSOR", "0"))
    chance = random.random() if "TRAIN_BY_CHANCE" in os.environ else 0
    Path("models").mkdir(exist_ok=True)
    Path("models/weights").write_text(f"{moved} {chance}")
    figures = dict.fromkeys(FIGURES, 0.5) | dict.fromkeys(COUNTS, 200) | {"rank1": 0.7 + moved}
    for model in paths.MODELS:
        file = paths.metrics_file(model)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
