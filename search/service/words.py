"""What an answer means, in words."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from search.false_alarms import FEWEST_PEOPLE
from search.people import Answer, Found
from search.records import Sighting

Side = Literal["match", "nobody", "unknown"]
"""The side of the threshold, or that nothing can be said."""

NOT_MEASURED = (
    "The gallery is too small to measure this: the limit comes with the model, from the photos "
    "that it was tested on."
)
"""What is said if the model's own threshold decides."""

COMMON = 0.1
"""The share of strangers from which on it is said in hundredths."""


@dataclass(frozen=True)
class Verdict:
    """What a search says: the headline, and a sentence that explains it."""

    side: Side
    headline: str
    explanation: str


def verdict(answer: Answer, is_filtered: bool) -> Verdict:
    """Return what an answer says.

    Args:
        answer: the answer.
        is_filtered: whether only some of the photos could be found.
    """
    rate = one_in(answer.rate, "false alarm")
    matches = [found for found in answer.people if found.is_match]
    if not answer.people:
        return Verdict("unknown", "No photo to compare with", "No photo passes the filters.")
    if answer.threshold is None:
        return _nothing_to_say(answer)
    caution = "" if answer.is_measured else f" {NOT_MEASURED}"
    if not matches:
        place = "among the filtered photos" if is_filtered else "in the gallery"
        return Verdict(
            "nobody",
            f"Nobody {place}",
            f"At {rate} strangers, nobody looks similar enough.{caution}",
        )
    return Verdict(
        "match", f"Probably {_who(matches[0])}", _on_matches(len(matches), rate) + caution
    )


def _nothing_to_say(answer: Answer) -> Verdict:
    if all(found.false_alarms is None for found in answer.people):
        return Verdict(
            "unknown",
            "Too few people to say",
            "These look most similar. Whether one of them is the person can be said from "
            f"{FEWEST_PEOPLE} named people on.",
        )
    return Verdict(
        "unknown",
        "Too few photos to say",
        "The gallery has too few photos to measure "
        f"{one_in(answer.rate, 'false alarm')} strangers. Accept more false alarms.",
    )


def _who(found: Found) -> str:
    return found.person or "somebody whom nobody named"


def _on_matches(count: int, rate: str) -> str:
    if count == 1:
        return f"At {rate} strangers, one person looks similar enough."
    return f"At {rate} strangers, {count} people look similar enough. Compare them."


def side(found: Found) -> Side:
    """Return on which side of the threshold a person is."""
    if found.is_match is None:
        return "unknown"
    return "match" if found.is_match else "nobody"


def one_in(share: float, noun: str = "") -> str:
    """Return a share as ``1 in 900``, with two digits that count. The noun follows the 1."""
    number = 1 / share
    digits = max(0, len(str(int(number))) - 2)
    return f"1{' ' + noun if noun else ''} in {round(number, -digits):,.0f}"


def strangers(share: float | None) -> str:
    """Say what share of strangers looks as similar."""
    if share is None:
        return "Too few people to say how rare this similarity is"
    if share < COMMON:
        return f"{one_in(share)} strangers looks this similar"
    return f"{100 * share:.0f} in 100 strangers look this similar"


def where(sighting: Sighting) -> str:
    """Say which camera made a photo."""
    return "Camera not known" if sighting.camera is None else f"Camera {sighting.camera}"


def when(sighting: Sighting) -> str:
    """Say when a photo was taken: its time, or its place in the film. Empty if nobody knows."""
    if sighting.time is not None:
        return datetime.fromtimestamp(sighting.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = {"sequence": sighting.sequence, "frame": sighting.frame}
    # A line breaks between the parts only.
    known = {name: number for name, number in parts.items() if number is not None}
    return ", ".join(f"{name}\N{NO-BREAK SPACE}{number}" for name, number in known.items())


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as ``1 photo`` or ``1,100 photos``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def sentence(text: str) -> str:
    """Return a message with a capital letter."""
    return text[:1].upper() + text[1:]
