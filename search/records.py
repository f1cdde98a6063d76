"""What an index holds and gives: models, photos, sightings, judgements."""

from collections.abc import Collection
from dataclasses import dataclass, field

LARGEST_ID = 2**63 - 1
"""The largest id of a photo."""
LARGEST_CAMERA = 2**31 - 1
"""The largest number of a camera."""


@dataclass(frozen=True)
class Model:
    """A network whose embeddings are in an index."""

    sha256: str
    """The hash of the folder of the exported network. It identifies the model."""
    name: str
    """Where the network came from, such as ``models:/reid/3``, for people to read."""
    dimension: int
    """The length of an embedding."""


@dataclass(frozen=True)
class NewPhoto:
    """A photo to add."""

    content: bytes
    """The JPEG or PNG file that the index keeps (see `search.photos.kept_form`)."""
    sha256: str
    """The hash of the file as it was given. A file that is added twice is one photo."""
    file: str
    """The name of the file."""
    person: str | None
    """The name of the person, or None if nobody knows who it is."""
    camera: int | None = None
    time: float | None = None
    """When the photo was taken, in seconds since 1970 (UTC)."""
    sequence: int | None = None
    frame: int | None = None


@dataclass(frozen=True)
class Sighting:
    """A photo in the index, without its content and its embedding."""

    id: int
    """At most ``LARGEST_ID``. Numbers of JavaScript have 53 bits: give it to a page as a text."""
    person: str | None
    camera: int | None
    time: float | None
    """When the photo was taken, in seconds since 1970 (UTC)."""
    sequence: int | None
    frame: int | None
    file: str
    added: float
    """When the photo was added, in seconds since 1970 (UTC)."""

    def by_time(self) -> tuple[float, int, int, int]:
        """Return the key that sorts sightings by time. Frames decide where no time is known."""
        return (self.time or 0.0, self.sequence or 0, self.frame or 0, self.id)


@dataclass(frozen=True)
class Hit:
    """A photo that a search found."""

    sighting: Sighting
    similarity: float
    """The cosine of its embedding and the query's, from -1 to 1."""


@dataclass(frozen=True)
class Filter:
    """Which photos a search may find. An empty filter lets all of them pass."""

    cameras: Collection[int] = ()
    """Only photos of these cameras."""
    not_cameras: Collection[int] = ()
    """No photos of these cameras."""
    people: Collection[str] = ()
    """Only photos of these people."""
    since: float | None = None
    """Only photos taken at this time or later, in seconds since 1970 (UTC)."""
    until: float | None = None
    """Only photos taken before this time, in seconds since 1970 (UTC)."""


EVERYTHING = Filter()


@dataclass(frozen=True)
class Person:
    """A person of the index."""

    name: str
    photos: int
    cameras: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Judgement:
    """Somebody's word on an answer: the photo shows the person who was searched for, or not."""

    query: bytes
    """The photo that was searched for, in the form that the index keeps."""
    photo: int
    """The id of the photo that was found."""
    person: str | None
    """The person of that photo."""
    similarity: float
    model: str
    """The hash of the model."""
    right: bool
    time: float
    """When the word was given, in seconds since 1970 (UTC)."""
