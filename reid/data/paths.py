"""The paths of the pipeline's files, relative to the project's folder.

Each name is written once in the code, here, and once in ``dvc.yaml``.
"""

from pathlib import Path
from typing import Literal

PARAMS, PIPELINE, LOCK = "params.yaml", "dvc.yaml", "dvc.lock"
REQUIREMENTS, ONNX_REQUIREMENTS = Path("requirements.txt"), Path("requirements-onnx.txt")

TEMPORARY = Path(".dvc/tmp")
"""DVC's folder for what is neither a result nor in git: locks, notes, checkpoints, caches."""

DATA = Path("data")
PRETRAINED = Path("pretrained")

DATASET = Path("build/dataset")
VALIDATION = Path("build/validation.json")
DATA_DOCS = Path("build/data_docs")
SPLIT = Path("build/split.parquet")
METRICS = Path("metrics")
PLOTS = Path("plots")

BASELINE, TRIPLET = MODELS = ("baseline", "triplet")
COMPARISON = "comparison"
"""The name of the comparison of the two models, used in paths like a model's name."""

SavedEpoch = Literal["best", "last"]
"""An epoch of the training with held-out images, whose weights are saved."""
SavedNetwork = Literal["final"] | SavedEpoch
"""A network in the folder of a model. ``final`` learnt from all images, if the model was trained
once more on these; if not, it is ``best``."""


def model_folder(model: str) -> Path:
    """Return the folder that a training writes."""
    return Path("models") / model


def exported_folder(model: str) -> Path:
    """Return the folder of a model's network in the form that its engine reads."""
    return Path("build/networks") / model


def features_folder(model: str) -> Path:
    """Return the folder of a model's embeddings."""
    return Path("build/features") / model


def ranking_file(model: str) -> Path:
    """Return the file of the ranks that a model gives to the right answers of each query."""
    return Path("build/rankings") / f"{model}.parquet"


def metrics_file(name: str) -> Path:
    """Return the file with the metrics of a model or of the comparison."""
    return METRICS / f"{name}.json"


def plots_folder(name: str) -> Path:
    """Return the folder with the plots of a model or of the comparison."""
    return PLOTS / name


def subset_file(dataset: Path, subset: str) -> Path:
    """Return the file with the images of a subset and the parts of their names."""
    return dataset / f"{subset}.parquet"


def embeddings_file(features: Path, subset: str) -> Path:
    """Return the file with the embeddings of a subset."""
    return features / f"{subset}.npy"


def source_file(folder: Path) -> Path:
    """Return the file that says what a data set or a folder of embeddings was made from."""
    return folder / "source.json"


def network_file(folder: Path, saved: SavedNetwork) -> Path:
    """Return the file of a trained network in the folder of a model."""
    return folder / f"{saved}.keras"


def history_file(folder: Path) -> Path:
    """Return the table with one row per epoch in the folder of a model."""
    return folder / "history.csv"


def cmc_file(folder: Path) -> Path:
    """Return the file with the CMC curve in the folder of a model's plots."""
    return folder / "cmc.csv"


def cameras_file(folder: Path) -> Path:
    """Return the file with the metrics by camera in the folder of a model's plots."""
    return folder / "cameras.json"


def camera_pairs_file(folder: Path) -> Path:
    """Return the file with the metrics by pair of cameras in the folder of a model's plots."""
    return folder / "camera_pairs.json"


def answers_file(folder: Path) -> Path:
    """Return the picture of queries and answers in the folder of a model's plots."""
    return folder / "answers.png"
