"""The photos of a search on the page.

The page gets them back in hidden fields, in the form that the index keeps, and sends them with the
next search. So filters can be changed without choosing the files again, and nothing is stored.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import HTTPException, UploadFile
from pydantic import Field, field_validator

from reid.data.images import UnreadableImageError
from search.photos import kept_form
from search.service.context import Context
from search.service.example_queries import example_queries
from search.service.forms import SearchOptions, read_photos
from search.service.guard import MAX_PHOTOS


class PageForm(SearchOptions):
    """The fields of the page's search, but for files."""

    against: str = Field("", description="The hash of a second model, to compare.")
    kept: list[str] = Field([], description="The photos so far, in base64.")
    remove: int | None = Field(None, description="The place of the one to remove.")
    pick: int | None = Field(None, description="The number of a query photo of the data set.")
    verdict: str = Field("", description="A judgement: see `search.service.verdicts`.")
    judged: list[str] = Field([], description="The judgements given on this answer.")

    @property
    def is_filtered(self) -> bool:
        """Whether only some of the photos may be found."""
        return any((self.camera, self.not_camera, self.person, self.since, self.until))

    @field_validator("person")
    @classmethod
    def without_empty_fields(cls, person: list[str]) -> list[str]:
        """Ignore a field in which nobody wrote a name."""
        return [name.strip() for name in person if name.strip()]


@dataclass(frozen=True)
class Query:
    """The photos of a search, in the form that the index keeps."""

    photos: Sequence[bytes]
    faults: Sequence[str] = field(default=())
    """What is wrong with those that can't be read."""
    is_new: bool = False
    """Whether the search before was for other photos."""


async def read_query(
    parts: Context, form: PageForm, files: Sequence[UploadFile], more: Sequence[UploadFile]
) -> Query:
    """Return the photos of a search.

    Args:
        parts: the parts of the service.
        form: the other fields.
        files: the files that begin a new search.
        more: the files that join the photos so far.

    Raises:
        HTTPException: 400, a hidden field is damaged; 404, the data set has no such photo; 413,
            a photo is too large, or there are too many; 503, the queue is full.
    """
    if form.pick is not None:
        return Query([_picked(parts, form.pick)], is_new=True)
    before = [_decoded(text) for text in form.kept[:MAX_PHOTOS]]
    if form.remove is not None and 0 <= form.remove < len(before):
        del before[form.remove]
        return Query(before, is_new=True)
    first, added = await read_photos(files), await read_photos(more)
    if not first and not added:
        return Query(before)
    names = [file.filename or "" for file in (*files, *more) if file.filename or file.size]
    read = await parts.queue.run(
        lambda: [_kept(name, content) for name, content in zip(names, first + added, strict=True)]
    )
    photos = [result for result in read if isinstance(result, bytes)]
    faults = [result for result in read if isinstance(result, str)]
    # If no new photo can be read, those of the search before stay.
    replaces = bool(first) and bool(photos)
    together = photos if replaces else [*before, *photos]
    if len(together) > MAX_PHOTOS:
        raise HTTPException(413, f"{len(together)} photos; a search takes at most {MAX_PHOTOS}.")
    return Query(together, faults, is_new=bool(photos))


def encoded(photo: bytes) -> str:
    """Return a photo for a hidden field."""
    return base64.b64encode(photo).decode("ascii")


def kind_of(photo: bytes) -> str:
    """Return the media type of a photo in the form that the index keeps."""
    return "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise HTTPException(400, "A photo was damaged on its way. Choose it again.") from e


def _picked(parts: Context, number: int) -> bytes:
    for sample in example_queries(parts.dataset):
        if sample.number == number:
            return sample.content
    raise HTTPException(404, "The data set has no such photo.")


def _kept(name: str, content: bytes) -> bytes | str:
    """Return a photo in the form that the index keeps, or what is wrong with it."""
    try:
        return kept_form(content)
    except UnreadableImageError as e:
        return f"{name or 'The photo'} can't be used: {e}."
