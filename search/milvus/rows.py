"""The collections of the index on a Milvus server: their names, fields, rows and expressions."""

import base64
import hashlib
import re
import uuid

from search.milvus.connection import (
    MilvusConnection,
    Row,
    Schema,
    add_key_and_vector,
    add_number,
    add_text,
    isin,
    real,
)
from search.records import Filter, Model, NewPhoto, Sighting

STATE = "reid_index"
LEASE_ROW = 0
"""The row of ``reid_index`` in which the holder of the lock says that it lives."""
OWN = re.compile(r"reid_([0-9a-f]{16}|judgements)_[0-9a-f]{12}")
"""The names of the collections that hold photos and judgements."""

FACTS = ("person", "camera", "time", "sequence", "frame", "file", "added")
"""The fields of a photo that a sighting has, in the order of `Sighting`."""
PHOTO_FIELDS = ("id", "vector", "sha256", "person_key", "taken", "content", *FACTS)
JUDGEMENT_FIELDS = ("id", "vector", "query", "photo", "similarity", "model", "is_right", "time")
STATE_FIELDS = ("id", "vector", "state")
NOTHING = [0.0, 0.0]
"""The vector of a row that needs none: Milvus demands one."""


def new_name(kind: str) -> str:
    """Return a new name for a collection of some kind."""
    return f"reid_{kind}_{uuid.uuid4().hex[:12]}"


def state_schema(server: MilvusConnection) -> Schema:
    """Return the fields of the collection that says which others answer."""
    schema = server.new_schema("reid: which collections answer")
    add_key_and_vector(schema, len(NOTHING))
    add_text(schema, "state")
    return schema


def judgement_schema(server: MilvusConnection) -> Schema:
    """Return the fields of a collection of judgements."""
    schema = server.new_schema("reid: judgements")
    add_key_and_vector(schema, len(NOTHING))
    for text in ("query", "model"):
        add_text(schema, text)
    for number in ("photo", "is_right"):
        add_number(schema, number)
    for number in ("similarity", "time"):
        add_number(schema, number, is_real=True)
    return schema


def create_photos(server: MilvusConnection, model: Model) -> str:
    """Create an empty collection for a model's embeddings. Return its name."""
    schema = server.new_schema(f"reid: photos, embedded by {model.name}")
    add_key_and_vector(schema, model.dimension)
    for text in ("sha256", "file"):
        add_text(schema, text)
    add_text(schema, "person", nullable=True)
    add_text(schema, "content", on_disk=True)
    add_number(schema, "person_key")
    for number in ("camera", "sequence", "frame"):
        add_number(schema, number, nullable=True)
    add_number(schema, "time", is_real=True, nullable=True)
    for number in ("taken", "added"):
        add_number(schema, number, is_real=True)
    name = new_name(model.sha256[:16])
    server.create(name, schema)
    return name


def photo_id(sha256: str) -> int:
    """Return the id of a photo: the first 63 bits of its hash."""
    return int(sha256[:16], 16) >> 1


def person_key(name: str | None) -> int:
    """Return the number that stands for a name in expressions; 0 for nobody."""
    if name is None:
        return 0
    return max(1, int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) >> 1)


def photo_row(photo: NewPhoto, added: float) -> Row:
    """Return the row of a photo without its vector."""
    return {
        "id": photo_id(photo.sha256),
        "sha256": photo.sha256,
        "person": photo.person,
        "person_key": person_key(photo.person),
        "camera": photo.camera,
        "time": photo.time,
        "taken": added if photo.time is None else photo.time,
        "sequence": photo.sequence,
        "frame": photo.frame,
        "file": photo.file,
        "added": added,
        "content": base64.b64encode(photo.content).decode(),
    }


def sighting_of(row: Row) -> Sighting:
    """Return a row as a sighting."""
    return Sighting(row["id"], *(row[fact] for fact in FACTS))


def expression_of(among: Filter) -> str:
    """Return a filter as an expression of Milvus."""
    parts = []
    if among.cameras:
        parts.append(isin("camera", among.cameras))
    if among.not_cameras:
        parts.append(f"(camera is null or not ({isin('camera', among.not_cameras)}))")
    if among.people:
        parts.append(isin("person_key", map(person_key, among.people)))
    if among.since is not None:
        parts.append(f"time >= {real(among.since)}")
    if among.until is not None:
        parts.append(f"time < {real(among.until)}")
    return " and ".join(parts)
