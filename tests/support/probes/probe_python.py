"""A stage that reads a file with Python."""

from pathlib import Path

Path("secret.txt").read_text(encoding="utf-8")
