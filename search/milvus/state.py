"""Which collections of a Milvus server answer: the one row of ``reid_index``."""

import json
from dataclasses import asdict, dataclass, replace

from reid.common.errors import UserError
from search.index import StaleModelError
from search.milvus.connection import Row
from search.records import Model

VERSION = 1
"""The version of the collections' fields."""


@dataclass(frozen=True)
class Held:
    """A model, and the collection that has its embeddings."""

    model: Model
    answers: bool
    photos: str
    copy: str = ""
    """The collection that will replace ``photos``, while it is filled."""

    def places(self) -> list[str]:
        """Return the collections that a new photo is written to, the one that answers last."""
        return [self.copy, self.photos] if self.copy else [self.photos]


@dataclass(frozen=True)
class State:
    """Which collections answer: the row of ``reid_index``."""

    generation: int
    held: tuple[Held, ...]
    """The models, the current one first."""
    judgements: str
    is_closed: bool = False
    """Whether nobody may add photos, because a model is about to answer."""

    @property
    def is_changing(self) -> bool:
        """Whether a change is under way."""
        return self.is_closed or any(held.copy for held in self.held)

    def settled(self) -> "State":
        """Return the state without the change that is under way."""
        held = tuple(replace(held, copy="") for held in self.held)
        return replace(self, held=held, is_closed=False)

    def collections(self) -> set[str]:
        """Return the names of all collections with photos or judgements."""
        return {self.judgements, *(place for held in self.held for place in held.places())}

    def of(self, sha256: str) -> Held:
        """Return a model that answers or is prepared.

        Raises:
            StaleModelError: the index does not have the model.
        """
        for held in self.held:
            if held.model.sha256 == sha256:
                return held
        raise StaleModelError("the index has no embeddings of this model.")

    def answering(self, sha256: str) -> Held:
        """Return a model that answers.

        Raises:
            StaleModelError: the index does not answer for the model.
        """
        held = self.of(sha256)
        if not held.answers:
            raise StaleModelError("the index does not answer for this model yet.")
        return held

    def to_json(self) -> str:
        """Return the text of the row."""
        return json.dumps({"version": VERSION, **asdict(self)})

    @classmethod
    def from_row(cls, row: Row, place: str) -> "State":
        """Read a row.

        Raises:
            UserError: another version of this tool wrote it.
        """
        facts = json.loads(row["state"])
        if facts.pop("version", None) != VERSION:
            raise UserError(
                f"{place} holds an index of another version of this tool. Build the index again in "
                "an empty database."
            )
        held = (Held(**{**one, "model": Model(**one["model"])}) for one in facts.pop("held"))
        return cls(**facts, held=tuple(held))
