"""The answers of the service as JSON."""

from datetime import UTC, datetime

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from search.people import Answer, Found
from search.records import Model, Person, Sighting


class SightingOut(TypedDict):
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


class FoundOut(TypedDict):
    """A person who was found."""

    person: str | None
    similarity: float
    false_alarms: float | None
    is_match: bool | None
    best: SightingOut
    sightings: list[SightingOut]


class AnswerOut(TypedDict):
    """The answer to a search."""

    model: str
    is_somebody: bool | None
    """Whether the index knows the person, at this share of false alarms."""
    threshold: float | None
    threshold_is_measured: bool
    """Whether the threshold was measured on this index, not brought by the model."""
    rate: float
    people: list[FoundOut]


class PersonOut(TypedDict):
    """A person of the index."""

    name: str
    photos: int
    cameras: list[int]


class EnrolledOut(TypedDict):
    """What became of photos that were to be added."""

    added: int
    known: int
    """Photos that the index had already."""


class ForgottenOut(TypedDict):
    """How many photos of a person were deleted."""

    forgotten: int


_ANSWER = TypeAdapter(AnswerOut)


def answer_json(answer: Answer, model: Model) -> bytes:
    """Describe an answer, as JSON.

    An answer has hundreds of photos: as objects that FastAPI checks and writes, they would take a
    tenth of a search's time.
    """
    return _ANSWER.dump_json(
        {
            "model": model.sha256,
            "is_somebody": answer.is_somebody,
            "threshold": answer.threshold,
            "threshold_is_measured": answer.is_measured,
            "rate": answer.rate,
            "people": [_found(found) for found in answer.people],
        }
    )


def _found(found: Found) -> FoundOut:
    return {
        "person": found.person,
        "similarity": round(found.similarity, 6),
        "false_alarms": found.false_alarms,
        "is_match": found.is_match,
        "best": sighting_out(found.best),
        "sightings": [sighting_out(sighting) for sighting in found.sightings],
    }


def sighting_out(sighting: Sighting) -> SightingOut:
    """Describe a photo."""
    return {
        "id": str(sighting.id),
        "camera": sighting.camera,
        "time": when(sighting.time),
        "sequence": sighting.sequence,
        "frame": sighting.frame,
        "file": sighting.file,
        "photo": f"/photos/{sighting.id}",
    }


def person_out(person: Person) -> PersonOut:
    """Describe a person."""
    return {"name": person.name, "photos": person.photos, "cameras": list(person.cameras)}


def when(time: float | None) -> datetime | None:
    """Return a time given in seconds since 1970 (UTC)."""
    return None if time is None else datetime.fromtimestamp(time, UTC)
