"""A stage that reads a file outside the project."""

from pathlib import Path

(Path.home() / "secret.txt").read_text(encoding="utf-8")
