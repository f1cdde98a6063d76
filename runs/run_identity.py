"""Which MLflow run a result belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunIdentity:
    """Which run of which store, and what it says of itself."""

    root: Path
    """The project's folder, where the default store and its artifacts are."""
    fingerprint: str
    """Of everything that determines the result."""
    name: str
    """Of the run, where nobody gave it one."""
    tags: Mapping[str, str]
    origin: Callable[[], Mapping[str, str]] = dict
    """More of these, which take a second to find out."""


def nameless(fingerprint: str) -> str:
    """The name of a run whose result is no experiment's."""
    return f"repro-{fingerprint[:7]}"
