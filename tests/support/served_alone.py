"""Embed photos with the registered champion, where only MLflow's store is known.

Run this file by its path, so that Python does not find the project's checkout. It reads
``photos.json`` in the working folder, writes ``answer.npy`` and prints the file of `reid`.
"""

import json
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd


def main() -> None:
    """Embed the photos."""
    model = mlflow.pyfunc.load_model("models:/reid@champion")
    photos = json.loads(Path("photos.json").read_text(encoding="utf-8"))
    np.save("answer.npy", model.predict(pd.DataFrame(photos)))
    # Loading the model has put its own code on Python's path.
    import reid  # noqa: PLC0415

    print("code from", reid.__file__)  # noqa: T201


if __name__ == "__main__":
    main()
