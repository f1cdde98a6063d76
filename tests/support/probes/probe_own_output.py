"""A stage that reads what it wrote."""

from pathlib import Path

Path("made").write_text("1", encoding="utf-8")
Path("made").read_text(encoding="utf-8")
