"""Files that are written completely or not at all: under a temporary name, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def _temporary_sibling(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. If the block succeeds, the file replaces ``path``."""
    part = _temporary_sibling(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder. If the block succeeds, the folder replaces ``path``."""
    part = _temporary_sibling(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    old = part.with_suffix(".old")
    try:
        yield part
        if path.exists():
            path.replace(old)
        try:
            part.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with a final newline.

    Raises:
        ValueError: the value holds NaN or an infinity, for which JSON has no number.
    """
    with replacing_file(path) as part:
        part.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Return a hash of the names and contents of the files that lie directly in a folder.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()
