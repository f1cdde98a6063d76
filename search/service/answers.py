"""The answers of the service as JSON."""

from datetime import UTC, datetime

from pydantic import BaseModel

from search.people import Answer, Found
from search.records import Model, Person, Sighting


class SightingOut(BaseModel):
    """A photo in the index."""

    id: str
    """The number of the photo; as text, because JavaScript rounds numbers of more than 53 bits."""
    camera: int | None
    time: datetime | None
    sequence: int | None
    frame: int | None
    file: str
    photo: str
    """The path of the photo on this service."""

    @staticmethod
    def of(sighting: Sighting) -> "SightingOut":
        """Describe a photo."""
        return SightingOut(
            id=str(sighting.id),
            camera=sighting.camera,
            time=when(sighting.time),
            sequence=sighting.sequence,
            frame=sighting.frame,
            file=sighting.file,
            photo=f"/photos/{sighting.id}",
        )


class FoundOut(BaseModel):
    """A person who was found."""

    person: str | None
    similarity: float
    false_alarms: float | None
    is_match: bool | None
    best: SightingOut
    sightings: list[SightingOut]

    @staticmethod
    def of(found: Found) -> "FoundOut":
        """Describe a person."""
        return FoundOut(
            person=found.person,
            similarity=round(found.similarity, 6),
            false_alarms=found.false_alarms,
            is_match=found.is_match,
            best=SightingOut.of(found.best),
            sightings=[SightingOut.of(sighting) for sighting in found.sightings],
        )


class AnswerOut(BaseModel):
    """The answer to a search."""

    model: str
    is_somebody: bool | None
    """Whether the index knows the person, at this share of false alarms."""
    threshold: float | None
    threshold_is_measured: bool
    """Whether the threshold was measured on this index, not brought by the model."""
    rate: float
    people: list[FoundOut]

    @staticmethod
    def of(answer: Answer, model: Model) -> "AnswerOut":
        """Describe an answer."""
        return AnswerOut(
            model=model.sha256,
            is_somebody=answer.is_somebody,
            threshold=answer.threshold,
            threshold_is_measured=answer.is_measured,
            rate=answer.rate,
            people=[FoundOut.of(found) for found in answer.people],
        )


class PersonOut(BaseModel):
    """A person of the index."""

    name: str
    photos: int
    cameras: list[int]

    @staticmethod
    def of(person: Person) -> "PersonOut":
        """Describe a person."""
        return PersonOut(name=person.name, photos=person.photos, cameras=list(person.cameras))


class EnrolledOut(BaseModel):
    """What became of photos that were to be added."""

    added: int
    known: int
    """Photos that the index had already."""


class ForgottenOut(BaseModel):
    """How many photos of a person were deleted."""

    forgotten: int


def when(time: float | None) -> datetime | None:
    """Return a time given in seconds since 1970 (UTC)."""
    return None if time is None else datetime.fromtimestamp(time, UTC)
