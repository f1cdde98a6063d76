"""The findings of a validation, independent of Great Expectations."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

OFFENDERS_NAMED = 5
"""The offenders that the terminal and ``validation.json`` name for each expectation."""


class Severity(StrEnum):
    """Whether a failure would make the results wrong (fatal), or is only unusual (warning)."""

    FATAL = "fatal"
    WARNING = "warning"


@dataclass(frozen=True)
class Offender:
    """A row that fails an expectation."""

    row: str
    """The subset, or the image as ``subset/name``."""
    observed: str
    """The values that fail."""

    def __str__(self) -> str:
        """Return the row and its values as one line."""
        return f"{self.row}: {self.observed}" if self.observed else self.row


@dataclass(frozen=True)
class Outcome:
    """The outcome of one expectation."""

    name: str
    description: str
    hint: str
    """The advice on what to do about a failure."""
    severity: Severity
    unit: str
    """The kind of the rows that were judged: ``images`` or ``subsets``."""
    success: bool
    offenders: tuple[Offender, ...]
    """All rows that fail, in the order of the index."""

    @property
    def offending_text(self) -> str:
        """The number of rows that fail, as ``1 image`` or ``3,368 images``."""
        unit = self.unit if len(self.offenders) != 1 else self.unit.removesuffix("s")
        return f"{len(self.offenders):,} {unit}"

    def to_text(self) -> str:
        """Return the failure as lines: the expectation, the first offenders, the hint."""
        lines = [f"{self.severity.upper()}: {self.description}"]
        lines.append(f"  Fails for {self.offending_text}:")
        lines += [f"    {offender}" for offender in self.offenders[:OFFENDERS_NAMED]]
        if len(self.offenders) > OFFENDERS_NAMED:
            lines.append(f"    and {len(self.offenders) - OFFENDERS_NAMED:,} more")
        lines.append(f"  To do: {self.hint}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the number of offenders and the first of them."""
        return {
            "name": self.name,
            "description": self.description,
            "hint": self.hint,
            "severity": self.severity,
            "unit": self.unit,
            "success": self.success,
            "offending": len(self.offenders),
            "offenders": [vars(offender) for offender in self.offenders[:OFFENDERS_NAMED]],
        }


@dataclass(frozen=True)
class Report:
    """The outcomes of all expectations, in the order in which they are stated."""

    outcomes: tuple[Outcome, ...]

    def failures(self, severity: Severity) -> list[Outcome]:
        """Return the outcomes of this severity that failed."""
        return [o for o in self.outcomes if not o.success and o.severity == severity]

    @property
    def ok(self) -> bool:
        """Whether no failure is fatal. There may be warnings."""
        return not self.failures(Severity.FATAL)

    @property
    def summary(self) -> str:
        """One line with the number of expectations, of fatal failures and of warnings."""
        fatal, warnings = (len(self.failures(severity)) for severity in Severity)
        return f"{len(self.outcomes)} expectations: {fatal} failed fatally, {warnings} warned"

    def to_text(self) -> str:
        """Return the summary and all failures for the terminal, the fatal ones first."""
        failures = [outcome for severity in Severity for outcome in self.failures(severity)]
        return "\n\n".join([self.summary, *(outcome.to_text() for outcome in failures)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, which depend on nothing but the index and the limits."""
        return {"ok": self.ok, "expectations": [outcome.to_dict() for outcome in self.outcomes]}
