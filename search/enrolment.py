"""Bring photos into an index: those of the pipeline's gallery, of a folder, or of a request."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
from tqdm import tqdm

from reid.common.errors import NEXT_LINE, UserError, listed
from reid.data import paths
from reid.data.dataset import read_columns
from reid.data.images import UnreadableImageError
from reid.data.market import DISTRACTOR_PID, JUNK_PID, form_of, person_name, person_number
from reid.sources.files import FolderFiles
from reid.sources.layout import is_image
from search.index import Index, StaleModelError
from search.networks import Networks
from search.photos import named_kept_form
from search.records import Model, NewPhoto

AT_ONCE = 64
"""The photos that are embedded and added together."""
LONGEST_NAME = 100


@dataclass(frozen=True)
class Counts:
    """What became of photos that were to be added."""

    added: int = 0
    known: int = 0
    """Photos that the index had already."""

    def __add__(self, other: "Counts") -> "Counts":
        """Add the numbers."""
        return Counts(self.added + other.added, self.known + other.known)


@dataclass(frozen=True)
class Entry:
    """A photo that was not read yet."""

    read: Callable[[], bytes]
    person: str | None
    file: str
    camera: int | None = None
    time: float | None = None
    sequence: int | None = None
    frame: int | None = None


def checked_name(name: str) -> str:
    """Return a person's name, without spaces around it.

    Raises:
        UserError: it is empty, too long, or has a slash or characters that can't be seen.
    """
    name = name.strip()
    is_path = "/" in name or name in (".", "..")
    if not name or len(name) > LONGEST_NAME or is_path or not name.isprintable():
        raise UserError(
            f"{name[:LONGEST_NAME]!r} can't be a person's name: give 1 to {LONGEST_NAME} letters, "
            "without a slash."
        )
    return name


@dataclass(frozen=True)
class _File:
    """A file that was read and not yet decoded."""

    entry: Entry
    content: bytes
    sha256: str


def _read(entry: Entry) -> _File:
    content = entry.read()
    return _File(entry, content, hashlib.sha256(content).hexdigest())


def _new(index: Index, files: Sequence[_File]) -> list[_File]:
    """Return the files that the index doesn't have.

    Raises:
        UserError: one of them is another person's photo.
    """
    known = index.known([file.sha256 for file in files])
    owners = dict(known)
    conflicts = []
    for file in files:
        owner = owners.setdefault(file.sha256, file.entry.person)
        if owner != file.entry.person:
            conflicts.append(f"{file.entry.file} is {owner or 'somebody without a name'}")
    if conflicts:
        raise UserError(
            f"the index has these photos as other people: {listed(conflicts)}. Forget those first, "
            "or leave these photos out."
        )
    return [file for file in files if file.sha256 not in known]


def _photo(file: _File) -> NewPhoto:
    """Decode a file.

    Raises:
        UnreadableImageError: it can't be decoded. The message names the file.
    """
    entry = file.entry
    return NewPhoto(
        named_kept_form(entry.file, file.content),
        file.sha256,
        entry.file,
        entry.person,
        entry.camera,
        entry.time,
        entry.sequence,
        entry.frame,
    )


def _embed_and_add(index: Index, networks: Networks, photos: Sequence[NewPhoto]) -> int:
    """Embed photos with all models of the index, and add them. Return how many were new."""
    while photos:
        embeddings = {
            model.sha256: networks.load(model.sha256).embed([photo.content for photo in photos])
            for model in index.models()
        }
        try:
            return index.add(photos, embeddings)
        except StaleModelError:
            continue
    return 0


def add_photos(index: Index, networks: Networks, entries: Sequence[Entry]) -> Counts:
    """Add a few photos. When this returns, they survive a crash.

    Raises:
        UserError: one of them can't be read or is in the index as another person's, or the index
            has no model yet. None is added.
    """
    index.current_model()
    photos = [_photo(file) for file in _new(index, [_read(entry) for entry in entries])]
    added = _embed_and_add(index, networks, photos)
    return Counts(added, len(entries) - added)


def add_entries(index: Index, networks: Networks, entries: Iterable[Entry], total: int) -> Counts:
    """Add many photos with a progress bar. If that is stopped, the next call resumes.

    Raises:
        UserError: some photos can't be read; the others are added. Or some are in the index as
            other people; those before them are added. Or the index has no model yet.
    """
    index.current_model()
    counts, faults, waiting = Counts(), [], iter(entries)
    with tqdm(total=total, unit="photo", delay=1) as progress, ThreadPoolExecutor() as pool:
        while batch := list(islice(waiting, AT_ONCE)):
            new = _new(index, list(pool.map(_read, batch)))
            results = list(pool.map(_photo_or_fault, new))
            faults += [str(result) for result in results if not isinstance(result, NewPhoto)]
            photos = [result for result in results if isinstance(result, NewPhoto)]
            added = _embed_and_add(index, networks, photos)
            unreadable = len(results) - len(photos)
            counts += Counts(added, len(batch) - added - unreadable)
            progress.update(len(batch))
    if faults:
        raise UserError(
            f"Photos added: {counts.added:,}. These can't be read, {len(faults):,} in all:"
            f"{NEXT_LINE}{listed(faults, separator=NEXT_LINE)}"
        )
    return counts


def _photo_or_fault(file: _File) -> NewPhoto | UnreadableImageError:
    try:
        return _photo(file)
    except UnreadableImageError as e:
        return e


def gallery_entries(dataset: Path) -> tuple[Iterator[Entry], int]:
    """Return the photos of the pipeline's gallery without junk, and their number.

    Distractors have no person.

    Raises:
        UserError: the data set was not ingested.
    """
    pids = read_columns(dataset, "gallery", ("pid",))["pid"]
    return _gallery(dataset), sum(pid != JUNK_PID for pid in pids)


def _gallery(dataset: Path) -> Iterator[Entry]:
    with pq.ParquetFile(paths.subset_file(dataset, "gallery")) as file:
        for batch in file.iter_batches(AT_ONCE):
            for row in batch.to_pylist():
                if row["pid"] != JUNK_PID:
                    yield Entry(
                        partial(bytes, row["image"]),
                        None if row["pid"] == DISTRACTOR_PID else person_name(row["pid"]),
                        row["name"],
                        row["camid"],
                        None,
                        row["sequence"],
                        row["frame"],
                    )


def folder_entries(
    folder: Path, names: str, person: str | None, camera: int | None, time: float | None
) -> list[Entry]:
    """Return the photos in a folder and in the folders below it.

    Args:
        folder: the folder.
        names: the form of `reid.data.market` (or the expression) that gives person and camera, if
            no person is named. A person is called like the folder, with their number.
        person: the name of the person on all photos.
        camera: the camera of all photos.
        time: when all photos were taken, in seconds since 1970 (UTC).

    Raises:
        UserError: there is no image, or a name does not have the form.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give a folder of JPEG or PNG files.")
    files = FolderFiles(folder)
    images = sorted(filter(is_image, files.paths()))
    if not images:
        raise UserError(f"{folder} holds no JPEG or PNG file.")
    if person is not None:
        return [
            Entry(partial(files.read, image), person, image.name, camera, time) for image in images
        ]
    form = form_of(names)
    parsed = {image: form.parse(image.name) for image in images}
    unknown = [str(image) for image, name in parsed.items() if name is None]
    if unknown:
        raise UserError(
            f"{len(unknown):,} of {len(images):,} names do not say who it is: {listed(unknown)}. "
            f"Expected: {form.description}. Choose another form with --names, or name the person "
            "on all of these photos with --person."
        )
    return [
        Entry(
            partial(files.read, image),
            None if name.pid in (JUNK_PID, DISTRACTOR_PID) else _own_name(folder, name.pid),
            image.name,
            name.camid if camera is None else camera,
            time,
            name.sequence,
            name.frame,
        )
        for image, name in parsed.items()
        if name is not None
    ]


def _own_name(folder: Path, pid: int) -> str:
    """Return a name that no person of another data set has."""
    return f"{folder.resolve().name} {person_number(pid)}"


def embed_with(index: Index, networks: Networks, model: Model, switch: bool) -> None:
    """Embed all photos of an index with another model, while the present one answers.

    If that is stopped, the next call resumes.

    Args:
        index: the index.
        networks: the networks, which have that model.
        model: the model.
        switch: whether the index uses only that model in the end; if not, both answer.
    """
    index.begin_model(model)
    network = networks.load(model.sha256)
    with tqdm(total=index.size(), unit="photo", delay=1) as progress:
        while not index.finish_model(model.sha256, switch):
            while photos := index.without_embedding(model.sha256, AT_ONCE):
                embeddings = network.embed(list(photos.values()))
                index.add_embeddings(model.sha256, dict(zip(photos, embeddings, strict=True)))
                progress.update(len(photos))
