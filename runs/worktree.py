"""The files that a result comes from, compared with git's commit, so that they travel with the run.

A run carries small files whole (parameters, ``dvc.yaml``, ``dvc.lock``, the ``.dvc`` files, the
metrics) and all other uncommitted changes as one patch. DVC's configuration stays behind.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.utils.serialize import parse_yaml

from reid.common.errors import listed
from reid.data.paths import LOCK, PARAMS, PIPELINE
from runs.git import PATCH, git, names
from runs.params import flatten

CHANGES = "changes.patch"
NO_SECRETS = ":(exclude,glob)**/.dvc/config"
"""``dvc remote modify`` writes passwords there; nothing in it determines a result."""


@dataclass(frozen=True)
class Declarations:
    """Where a project's parts are, as paths relative to its folder."""

    data: tuple[str, ...]
    """The ``.dvc`` files."""
    inputs: tuple[str, ...]
    """The files and folders that stages declare to read and no stage makes."""
    outputs: tuple[str, ...]
    """The files and folders that the stages make."""
    figures: tuple[str, ...] = ()
    """The outputs that git keeps: the metrics."""


@dataclass(frozen=True)
class WorkTree:
    """How the working tree differs from the commit that it stands on."""

    commit: str
    """The commit's hash; empty if nothing was committed yet, and then no change is known."""
    determining: tuple[str, ...] = ()
    """The changed files that determine the result, without ``params.yaml``."""
    params: Mapping[str, tuple[Any, Any]] | None = None
    """The value in the commit and the value now of each parameter that was changed."""
    patch: bytes = b""
    """A patch of all changed files that don't travel whole."""
    whole: tuple[str, ...] = ()
    """The files that travel whole."""
    unknown: tuple[str, ...] = ()
    """The files among the code that git neither tracks nor ignores."""

    def tags(self) -> dict[str, str]:
        """Return the tags of the MLflow run.

        A tree is dirty if a file that determines the result differs from the commit. Parameters
        don't count: each experiment has its own, and the run shows them.
        """
        if not self.commit:
            return {}
        tags = {"git_dirty": "true" if self.determining else "false"}
        if self.determining:
            tags["git_changes"] = listed(self.determining)
        if self.params:
            changes = [f"{name}: {was} -> {now}" for name, (was, now) in self.params.items()]
            tags["params_changed"] = listed(changes)
        return tags

    def write(self, folder: Path) -> None:
        """Write the files and the patch that travel with the run into a folder."""
        for name in self.whole:
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, copy)
        # Written even if it is empty, to replace the patch of an earlier attempt.
        (folder / CHANGES).write_bytes(self.patch)


def compared_with(commit: str, declared: Declarations) -> WorkTree:
    """Compare the working tree in the current folder with a commit.

    Args:
        commit: empty if nothing was committed yet.
        declared: the parts of the project.

    Raises:
        UserError: git fails.
    """
    travelling = (PARAMS, PIPELINE, LOCK, *declared.data, *declared.figures)
    whole = tuple(name for name in travelling if Path(name).is_file())
    if not commit:
        return WorkTree("", whole=whole)
    made = [f":(exclude){path}" for path in (LOCK, *declared.outputs)]
    tracked = names(
        git("diff", "--name-only", "--relative", "-z", commit, "--", ".", NO_SECRETS, *made)
    )
    # A file that git neither tracks nor ignores counts only if it lies among the code.
    code_folders = {str(Path(path).parent) for path in declared.inputs} - {"."}
    where = sorted({*declared.inputs, *whole, *code_folders})
    new = names(git("ls-files", "--others", "--exclude-standard", "-z", "--", *where))
    changed = sorted({*tracked, *new} - {PARAMS, LOCK, *declared.figures})
    roots = (PIPELINE, *declared.data, *declared.inputs)
    determining = tuple(path for path in changed if _is_below(path, roots))
    unknown = [path for path in new if path not in whole]
    return WorkTree(
        commit,
        determining,
        _changed_params(commit),
        _patch(commit, [path for path in tracked if path not in whole])
        + b"".join(_patches_of_new(unknown)),
        whole,
        tuple(unknown),
    )


def has_result(commit: str, project: Path = Path()) -> bool:
    """Return whether a commit's ``dvc.lock`` records the result that is in the current folder."""
    here = _outputs(Path(LOCK).read_bytes()) if Path(LOCK).is_file() else {}
    there = _outputs(committed(commit, LOCK, project))
    return bool(here) and here == there


def with_this_lock(commits: Sequence[str], project: Path) -> list[str]:
    """Return the commits of a project that have the current folder's ``dvc.lock``, byte by byte.

    It takes two processes, however many commits there are.
    """
    if not commits:
        return []
    here = git("hash-object", LOCK).strip()
    asked = "".join(f"{commit}:./{LOCK}\n" for commit in commits).encode()
    there = git("cat-file", "--batch-check=%(objectname)", folder=project, given=asked)
    found = zip(commits, there.splitlines(), strict=True)
    return [commit for commit, name in found if name == here]


def committed(commit: str, name: str, project: Path = Path()) -> bytes:
    """Return a file of a project as it is in a commit; empty if the commit has no such file."""
    # Git exits with status 128 if the commit has no such file.
    return git("show", f"{commit}:./{name}", folder=project, accepted=(0, 128))


def committed_params(commit: str) -> dict[str, Any]:
    """Return the parameters of a commit, as DVC reads them."""
    return _yaml(committed(commit, PARAMS), PARAMS)


def _yaml(text: bytes, name: str) -> dict[str, Any]:
    return parse_yaml(text.decode(), name) or {}


def _outputs(lock: bytes) -> dict[str, Any]:
    """Return what a ``dvc.lock`` records of the files that stages made."""
    stages = _yaml(lock, LOCK).get("stages", {})
    return {name: stage["outs"] for name, stage in stages.items() if "outs" in stage}


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _patch(commit: str, changed: list[str]) -> bytes:
    return git("diff", *PATCH, commit, "--", *changed) if changed else b""


def _patches_of_new(paths: list[str]) -> Iterator[bytes]:
    # Paths count from git's top folder, as in the patch of tracked files.
    place = git("rev-parse", "--show-prefix").decode().strip() if paths else ""
    prefixes = (f"--src-prefix=a/{place}", f"--dst-prefix=b/{place}")
    for path in paths:
        # Git exits with status 1 if the two files differ.
        sides = ("--", "/dev/null", path)
        yield git("diff", "--no-index", *PATCH, *prefixes, *sides, accepted=(0, 1))


def _changed_params(commit: str) -> dict[str, tuple[Any, Any]]:
    # DVC's own comparison would read the whole pipeline twice.
    before = flatten(committed_params(commit))
    now = flatten(_yaml(Path(PARAMS).read_bytes(), PARAMS))
    return {
        name: (before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    }
