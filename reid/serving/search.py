"""Search the gallery for the people who look most like a photo of your own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reid.common.errors import UserError
from reid.common.files import sha256, sha256_of_folder
from reid.data import paths
from reid.data.dataset import read_images
from reid.data.images import UnreadableImageError, photo_facts
from reid.data.market import DISTRACTOR_PID, JUNK_PID, person_name


@dataclass(frozen=True)
class FoundPerson:
    """A person of the gallery, with the gallery photo that is most like the photo searched for."""

    person: int
    """The pid. A distractor, somebody or something that nobody named, has 0."""
    camera: int
    """The camera of the gallery photo."""
    file: str
    """The file name of the gallery photo."""
    similarity: float
    """The cosine of the two embeddings, from -1 to 1."""
    row: int
    """The row of the gallery photo in the gallery subset."""


def read_photo(path: Path) -> bytes:
    """Read an image file. Raises `UserError` if the file can't be read or decoded."""
    try:
        content = path.read_bytes()
        photo_facts(content)
    except (UnreadableImageError, OSError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        raise UserError(
            f"{path} can't be read as a photo: {reason}. Give a JPEG or PNG file."
        ) from e
    return content


@dataclass(frozen=True)
class GalleryFeatures:
    """The embeddings of the gallery, and how to embed a photo in the same way."""

    embeddings: np.ndarray
    """The embeddings as float32 (n, d), rows of length 1."""
    network: Path
    """The folder of the exported network that made the embeddings."""


def read_gallery_features(features: Path, dataset: Path) -> GalleryFeatures:
    """Read the features of the gallery.

    Raises:
        UserError: the features do not exist yet, or were made from another gallery or with another
            model than the present one.
    """
    try:
        source = json.loads(paths.source_file(features).read_text(encoding="utf-8"))
        embeddings = np.load(paths.embeddings_file(features, "gallery"), mmap_mode="r")
        network, gallery = Path(source["network"]), paths.subset_file(dataset, "gallery")
        changed = [
            path
            for path, now, then in (
                (gallery, sha256(gallery), source["gallery_sha256"]),
                (network, sha256_of_folder(network), source["network_sha256"]),
            )
            if now != then
        ]
    except FileNotFoundError as e:
        raise UserError(
            f"{e.filename} does not exist: the gallery has no features of this model yet. "
            "Run `dvc repro` in the project's folder first."
        ) from e
    except KeyError as e:
        raise UserError(
            f"{features} was made by an earlier version of this project. Run `dvc repro`."
        ) from e
    if changed:
        raise UserError(
            f"{' and '.join(map(str, changed))} changed after {features} was made. Run `dvc repro`."
        )
    return GalleryFeatures(embeddings, network)


def nearest_people(
    embedding: np.ndarray, features: np.ndarray, gallery: Mapping[str, Sequence[Any]], top: int
) -> list[FoundPerson]:
    """Find the people most similar to a photo, each once, the best first.

    Args:
        embedding: the embedding of the photo, float32 (d,), of length 1.
        features: the embeddings of the gallery, float32 (n, d), rows of length 1.
        gallery: the columns ``pid``, ``camid`` and ``name`` of the n rows of the gallery subset.
        top: the largest number of people to return.

    Junk is left out. Distractors have no name, so each of their photos counts as a person.
    """
    pids, similarities = gallery["pid"], features @ embedding
    found: list[FoundPerson] = []
    seen: set[int] = {JUNK_PID}
    for row in np.lexsort((gallery["name"], -similarities)).tolist():
        if len(found) == top:
            break
        pid = pids[row]
        if pid not in seen:
            seen |= {pid} - {DISTRACTOR_PID}
            similarity = float(similarities[row])
            found.append(
                FoundPerson(pid, gallery["camid"][row], gallery["name"][row], similarity, row)
            )
    return found


def picture_of_search(
    name: str, content: bytes, dataset: Path, people: list[FoundPerson]
) -> Image.Image:
    """Draw a photo and the people found, in neutral frames: nobody knows which are right.

    Args:
        name: the file name of the photo.
        content: the bytes of the photo.
        dataset: the folder that ``ingest`` wrote. Only the photos that are drawn are read from it.
        people: the people found, the best first.
    """
    # Only a picture needs these, and pandas with them.
    from reid.evaluation import picture  # noqa: PLC0415
    from reid.evaluation.answers import photo_pixels  # noqa: PLC0415

    photos = read_images(dataset, "gallery", [found.row for found in people])
    answers = [
        picture.Photo(
            photo_pixels(photo),
            picture.NEUTRAL_FRAME,
            person_name(found.person),
            f"c{found.camera} · {found.similarity:.3f}",
        )
        for found, photo in zip(people, photos, strict=True)
    ]
    asked = picture.Photo(photo_pixels(content), picture.QUERY_FRAME, "your photo", "")
    return picture.answers_sheet(f"The people most like {name}", [(asked, answers)])
