"""The fingerprints of commits, remembered, because DVC needs half a second to read a commit."""

import json
from inspect import getfile
from pathlib import Path

from dvc.repo import Repo

from reid.common.files import sha256, write_json
from reid.data.paths import TEMPORARY
from runs import declarations, fingerprint

DEFINED_IN = (declarations, fingerprint)
"""The modules that say what a fingerprint is."""
FILE = "fingerprints.json"
"""The file, in the folder of what is neither a result nor in git."""


class CommitFingerprints:
    """The fingerprints that commits record; they never change."""

    def __init__(self, repo: Repo) -> None:
        """Read the file, unless it is damaged or its fingerprints were defined differently."""
        self._repo = repo
        self._file = Path(repo.root_dir) / TEMPORARY / FILE
        self._definition = " ".join(sha256(Path(getfile(each))) for each in DEFINED_IN)
        self._remembered = self._read()
        self._asked: dict[str, str] = {}

    def of(self, rev: str) -> str:
        """Return the fingerprint of the result that a commit records; empty if it is not whole."""
        if rev not in self._asked:
            remembered = self._remembered.get(rev)
            self._asked[rev] = self._look_into(rev) if remembered is None else remembered
        return self._asked[rev]

    def remember(self) -> None:
        """Save the fingerprints that were asked for, and forget the others."""
        if self._asked != self._remembered:
            write_json(self._file, {self._definition: self._asked})

    def _read(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._file.read_bytes())[self._definition])
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _look_into(self, rev: str) -> str:
        with self._repo.switch(rev):
            return fingerprint.recorded_fingerprint(self._repo)
