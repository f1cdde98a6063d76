"""The audit: one line for each search, enrolment and forgetting. It names no person."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

FILE = "audit.jsonl"


class Audit:
    """A file that is only added to."""

    def __init__(self, file: Path) -> None:
        """Use a file, which need not exist yet."""
        self._file = file
        self._lock = threading.Lock()

    def write(self, key: str, action: str, **numbers: int) -> None:
        """Add a line.

        Args:
            key: the name of the caller's key.
            action: what was done, such as ``search``.
            **numbers: how much of it: the photos given, the people found.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "key": key, "action": action, **numbers})
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
