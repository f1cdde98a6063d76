"""What the validation found, free of the tool that found it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

OFFENDERS_SHOWN = 5


class Severity(StrEnum):
    """Whether a failure makes the figures wrong, or is merely odd."""

    FATAL = "fatal"
    WARNING = "warning"


@dataclass(frozen=True)
class Offender:
    """A row that fails: an image as ``subset/name``, or a subset; and the value that fails."""

    row: str
    observed: str

    def __str__(self) -> str:
        """For one line of a list."""
        return f"{self.row}: {self.observed}" if self.observed else self.row


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation.

    ``offending`` counts all rows that fail, ``unit`` says of what: images or subsets;
    ``offenders`` are the first ``OFFENDERS_SHOWN`` of them in the order of the index.
    """

    name: str
    description: str
    hint: str
    severity: Severity
    unit: str
    success: bool
    offending: int
    offenders: tuple[Offender, ...]

    @property
    def offending_text(self) -> str:
        """How many rows fail, as ``1 image`` or ``3,368 images``."""
        unit = self.unit if self.offending != 1 else self.unit.removesuffix("s")
        return f"{self.offending:,} {unit}"

    def to_text(self) -> str:
        """The failure as a block of lines: what was expected, how many rows, which, what to do."""
        lines = [f"{self.severity.upper()}: {self.description}"]
        lines.append(f"  {self.offending_text} in breach of it:")
        lines += [f"    {offender}" for offender in self.offenders]
        if self.offending > len(self.offenders):
            lines.append(f"    and {self.offending - len(self.offenders):,} more")
        lines.append(f"  To do: {self.hint}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The outcomes of all expectations, in the order in which they are stated."""

    outcomes: tuple[Outcome, ...]

    def failures(self, severity: Severity) -> list[Outcome]:
        """The expectations of this severity that failed."""
        return [o for o in self.outcomes if not o.success and o.severity == severity]

    @property
    def ok(self) -> bool:
        """True where no failure is fatal; there may be warnings."""
        return not self.failures(Severity.FATAL)

    @property
    def summary(self) -> str:
        """One line: how many expectations there are and how many failed."""
        fatal, warnings = (len(self.failures(severity)) for severity in Severity)
        return f"{len(self.outcomes)} expectations: {fatal} failed fatally, {warnings} warned"

    def to_text(self) -> str:
        """For the terminal: the summary, then every failure, fatal ones first."""
        return "\n\n".join([self.summary, *_texts(self.failures(s) for s in Severity)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; they depend on the index and the limits alone."""
        return {"ok": self.ok, "expectations": [asdict(outcome) for outcome in self.outcomes]}


def _texts(groups: Iterable[list[Outcome]]) -> list[str]:
    return [outcome.to_text() for group in groups for outcome in group]
