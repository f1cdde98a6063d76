"""What somebody said about an answer on the page, as text in a form.

A judgement is ``right 203 0.892430 5f3d...``: the word, the id of the photo found, its similarity,
and the hash of the model. A word that was given is ``right 203 5f3d...``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import HTTPException

from search.records import LARGEST_ID

_JUDGEMENT = re.compile(r"(right|wrong) ([0-9]{1,19}) (-?[0-9]\.[0-9]{6}) ([0-9a-f]{64})")


@dataclass(frozen=True)
class Verdict:
    """A judgement that arrives in a form."""

    is_right: bool
    photo: int
    similarity: float
    model: str

    @property
    def key(self) -> str:
        """The answer that it is about."""
        return answer_key(self.photo, self.model)

    def given(self) -> str:
        """Return the word for the next form."""
        return f"{'right' if self.is_right else 'wrong'} {self.key}"


def answer_key(photo: int, model: str) -> str:
    """Return what tells an answer from all others of a search."""
    return f"{photo} {model}"


def parse(text: str) -> Verdict:
    """Parse a judgement.

    Raises:
        HTTPException: 400, it has another form.
    """
    match = _JUDGEMENT.fullmatch(text)
    if match is None or int(match[2]) > LARGEST_ID:
        raise HTTPException(400, "This judgement can't be read. Search again.")
    word, photo, similarity, model = match.groups()
    return Verdict(word == "right", int(photo), float(similarity), model)


def words_by_answer(given: Sequence[str]) -> dict[str, str]:
    """Return the last word on each answer."""
    return {key: word for word, _, key in (text.partition(" ") for text in given)}
