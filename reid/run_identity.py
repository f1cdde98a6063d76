"""Which MLflow run a result belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunIdentity:
    """Which run of which store."""

    root: Path
    """The project's folder, where the default store and its artifacts are."""
    fingerprint: str
    """Of everything that determines the result."""
    name: str
    """Of a new run."""
    tags: Mapping[str, str]
    """Of a new run."""
    origin: Callable[[], Mapping[str, str]] = dict
    """More of these, which take a second to find out."""
