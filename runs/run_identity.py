"""Which MLflow run a result belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunIdentity:
    """Which run of which store a result belongs to, and the run's name and tags."""

    root: Path
    """The project's folder, with the default store and its artifacts."""
    fingerprint: str
    """The hash of everything that determines the result."""
    name: str
    """The run's name, unless a person gives it another."""
    tags: Mapping[str, str]
    """The run's tags."""
    origin: Callable[[], Mapping[str, str]] = dict
    """A function that returns more tags, in a second."""


def nameless(fingerprint: str) -> str:
    """Return the name of a run whose result belongs to no DVC experiment."""
    return f"repro-{fingerprint[:7]}"
