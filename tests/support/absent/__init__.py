"""Processes for which libraries seem not to be installed."""

import os
from pathlib import Path


def without(*libraries: str) -> dict[str, str]:
    """Return the environment variables with which Python can't import libraries.

    Each is a folder here, whose module of that name is found first.
    """
    folders = (str(Path(__file__).parent / library) for library in libraries)
    return {"PYTHONPATH": os.pathsep.join(folders)}
