"""A photo of one's own against the gallery: which people look most like it?"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from reid.common.errors import UserError
from reid.common.files import sha256
from reid.data import paths
from reid.data.dataset import read_subset
from reid.data.images import UnreadableImageError, image_size
from reid.data.market import DISTRACTOR_PID, JUNK_PID
from reid.evaluation import picture
from reid.evaluation.answers import photo_pixels, who
from reid.evaluation.picture import Photo


@dataclass(frozen=True)
class Answer:
    """A person of the gallery, by the photo most like the one asked for."""

    person: int
    """pid; 0 is a distractor, somebody or something that nobody named."""
    camera: int
    file: str
    similarity: float
    """Cosine, from -1 to 1."""
    row: int
    """Of the gallery subset."""


def read_photo(path: Path) -> bytes:
    """The bytes of an image file that can be decoded. Raises UserError where it can't."""
    try:
        content = path.read_bytes()
        image_size(content)
    except (UnreadableImageError, OSError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise UserError(
            f"{path} can't be read as a photo: {reason}. Give a JPEG or PNG file."
        ) from e
    return content


@dataclass(frozen=True)
class GalleryFeatures:
    """What the pipeline made of the gallery, and how, so that a photo can be embedded alike."""

    embeddings: np.ndarray
    """float32 (n, d), rows of length 1."""
    model: Path
    """The file of the network."""
    flip: bool
    """Whether the mirror images were embedded too."""


def read_gallery_features(features: Path, dataset: Path) -> GalleryFeatures:
    """The features of the gallery.

    Raises:
        UserError: the pipeline has not made them yet, or has made them of another gallery or with
            another model than are there now.
    """
    try:
        source = json.loads(paths.source_file(features).read_text(encoding="utf-8"))
        embeddings = np.load(paths.embeddings_file(features, "gallery"))
        model, flip = Path(source["model"]), source["flip"]
        made_of = {
            paths.subset_file(dataset, "gallery"): source["gallery_sha256"],
            model: source["model_sha256"],
        }
        changed = [file for file, digest in made_of.items() if sha256(file) != digest]
    except FileNotFoundError as e:
        raise UserError(
            f"{e.filename} is not there: the gallery has no features of this model yet. "
            "Run `dvc repro` in the project's folder first."
        ) from e
    except KeyError as e:
        raise UserError(
            f"{features} was made by an earlier version of this project. Run `dvc repro`."
        ) from e
    if changed:
        raise UserError(
            f"{features} was made of another {' and another '.join(map(str, changed))} than is "
            "there now. Run `dvc repro`."
        )
    return GalleryFeatures(embeddings, model, flip)


def nearest_people(
    embedding: np.ndarray, features: np.ndarray, gallery: pd.DataFrame, top: int
) -> list[Answer]:
    """The most similar people, each once, the best first.

    Args:
        embedding: of the photo, (d,), length 1.
        features: of the gallery, (n, d), rows of length 1.
        gallery: the gallery's index, n rows with ``pid``, ``camid``, ``name``.
        top: how many people at most.

    Junk is left out; distractors have no name, so each of their photos counts by itself.
    """
    ranked = gallery[["pid", "camid", "name"]].assign(similarity=features @ embedding)
    ranked = ranked[ranked["pid"] != JUNK_PID].sort_values(
        ["similarity", "name"], ascending=[False, True]
    )
    repeated = ranked["pid"].duplicated() & (ranked["pid"] != DISTRACTOR_PID)
    best = ranked[~repeated].head(top)
    columns = (best[c].tolist() for c in ("pid", "camid", "name", "similarity"))
    return [Answer(*values) for values in zip(*columns, best.index.tolist(), strict=True)]


def picture_of_search(
    name: str, content: bytes, dataset: Path, answers: list[Answer]
) -> Image.Image:
    """Draw a photo of one's own and the people found; nobody knows which of them are right.

    Args:
        name: of the photo.
        content: its bytes.
        dataset: folder that ``ingest`` wrote.
        answers: the people found, the best first.
    """
    photos = read_subset(dataset, "gallery", images=True)["image"]
    found = [
        Photo(
            photo_pixels(photos.iloc[answer.row]),
            picture.NEUTRAL_FRAME,
            who(answer.person),
            f"c{answer.camera} · {answer.similarity:.3f}",
        )
        for answer in answers
    ]
    asked = Photo(photo_pixels(content), picture.QUERY_FRAME, "your photo", "")
    return picture.answers_sheet(f"The people most like {name}", [(asked, found)])
