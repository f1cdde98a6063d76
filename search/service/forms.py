"""What a search asks for, as a form that a page or a program sends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Form, HTTPException, UploadFile
from pydantic import BaseModel, Field

from search.photos import MAX_BYTES
from search.records import LARGEST_CAMERA, LARGEST_ID, Filter, Model
from search.service.guard import MAX_PHOTOS
from search.tool import SearchTool

RATE = 0.01
"""The share of false alarms that is accepted if nobody says otherwise."""

Camera = Annotated[int, Field(ge=0, le=LARGEST_CAMERA)]
PhotoId = Annotated[int, Field(ge=0, le=LARGEST_ID)]


class SearchOptions(BaseModel):
    """The fields of a search, but for the photos."""

    top: int = Field(10, ge=1, le=100, description="The largest number of people.")
    rate: float = Field(RATE, gt=0, le=1, description="The accepted share of false alarms.")
    camera: list[Camera] = Field([], description="Only photos of these cameras.")
    not_camera: list[Camera] = Field([], description="No photos of these cameras.")
    person: list[str] = Field([], description="Only photos of these people.")
    since: datetime | None = Field(None, description="Only photos taken at this time or later.")
    until: datetime | None = Field(None, description="Only photos taken before this time.")
    model: str = Field("", description="The hash of one of the models; the current one if empty.")

    def filter(self) -> Filter:
        """Return which photos may be found."""
        return Filter(
            self.camera, self.not_camera, self.person, seconds(self.since), seconds(self.until)
        )

    def model_of(self, tool: SearchTool) -> Model:
        """Return the model that is asked for.

        Raises:
            HTTPException: 404, the index has no such model.
            UserError: the index is empty.
        """
        current = tool.index.current_model()
        return known_model(tool, self.model) if self.model else current


def known_model(tool: SearchTool, sha256: str) -> Model:
    """Return the model with a hash.

    Raises:
        HTTPException: 404, the index has no such model.
    """
    for model in tool.index.models():
        if model.sha256 == sha256:
            return model
    raise HTTPException(404, "The index has no such model.")


SearchForm = Annotated[SearchOptions, Form()]


def seconds(time: datetime | None) -> float | None:
    """Return a time in seconds since 1970 (UTC). A time without a zone is taken as UTC."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


async def read_photos(files: Sequence[UploadFile]) -> list[bytes]:
    """Read the photos of a request. An empty field of a form is none.

    Raises:
        HTTPException: 413, a photo is too large, or there are too many.
    """
    chosen = [file for file in files if file.filename or file.size]
    if len(chosen) > MAX_PHOTOS:
        raise HTTPException(
            413, f"{len(chosen)} photos in a request; at most {MAX_PHOTOS} are read."
        )
    for number, file in enumerate(chosen, 1):
        if (file.size or 0) > MAX_BYTES:
            raise HTTPException(
                413, f"Photo {number} is larger than {MAX_BYTES // 2**20} MB. Save it smaller."
            )
    return [await file.read() for file in chosen]
