"""What git's commit lacks of the state that a result comes from, so that it travels with the run.

A run carries small files whole (parameters, ``dvc.yaml``, ``dvc.lock``, the ``.dvc`` files, the
metrics) and every other uncommitted change as one patch. DVC's configuration stays behind.
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

CHANGES = "changes.patch"
NO_SECRETS = ":(exclude,glob)**/.dvc/config"
"""``dvc remote modify`` writes passwords there; nothing in it determines a result."""


@dataclass(frozen=True)
class Declarations:
    """Where a project's parts are, as paths from its folder."""

    data: tuple[str, ...]
    """The ``.dvc`` files."""
    inputs: tuple[str, ...]
    """What the stages declare to read and no stage makes."""
    outputs: tuple[str, ...]
    """What the stages make."""
    figures: tuple[str, ...] = ()
    """Of these, the files that git has: the metrics."""


@dataclass(frozen=True)
class State:
    """How the working tree differs from the commit that it stands on."""

    commit: str
    """Empty where nothing was committed yet: then nothing below can be told."""
    determining: tuple[str, ...] = ()
    """Changed files, parameters apart, that determine the result; documentation doesn't."""
    params: Mapping[str, tuple[Any, Any]] | None = None
    """Values in the commit and now, of each parameter that has another one."""
    patch: bytes = b""
    """Of all changed files that don't travel whole."""
    whole: tuple[str, ...] = ()
    """Files that travel whole."""

    def tags(self) -> dict[str, str]:
        """For the MLflow run.

        A tree is dirty where a file that determines the result differs from the commit. Other
        parameters alone don't make it so: each experiment has its own, and the run shows them.
        """
        if not self.commit:
            return {}
        tags = {"git_dirty": "true" if self.determining else "false"}
        if self.determining:
            tags["git_changes"] = listed(self.determining)
        if self.params:
            tags["params_changed"] = listed(
                [f"{name}: {was} -> {now}" for name, (was, now) in self.params.items()]
            )
        return tags

    def write(self, folder: Path) -> None:
        """Write what travels with the run."""
        for name in self.whole:
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, copy)
        # Written even where it is empty: nothing else replaces that of an earlier attempt.
        (folder / CHANGES).write_bytes(self.patch)


def state_since(commit: str, declared: Declarations) -> State:
    """Compare the working tree in the current folder with a commit."""
    travelling = (PARAMS, PIPELINE, LOCK, *declared.data, *declared.figures)
    whole = tuple(name for name in travelling if Path(name).is_file())
    if not commit:
        return State("", whole=whole)
    made = [f":(exclude){path}" for path in (LOCK, *declared.outputs)]
    tracked = names(
        git("diff", "--name-only", "--relative", "-z", commit, "--", ".", NO_SECRETS, *made)
    )
    # What git neither knows nor ignores is part of the state only among the code: anything may
    # lie about elsewhere.
    beside = {str(Path(path).parent) for path in declared.inputs} - {"."}
    where = sorted({*declared.inputs, *whole, *beside})
    new = names(git("ls-files", "--others", "--exclude-standard", "-z", "--", *where))
    changed = sorted({*tracked, *new} - {PARAMS, LOCK, *declared.figures})
    roots = (PIPELINE, *declared.data, *declared.inputs)
    determining = tuple(path for path in changed if _is_below(path, roots))
    return State(
        commit,
        determining,
        _changed_params(commit),
        _patch(commit, [path for path in tracked if path not in whole])
        + b"".join(_patches_of_new([path for path in new if path not in whole])),
        whole,
    )


def has_result(commit: str, project: Path = Path()) -> bool:
    """Whether a commit of a project records in ``dvc.lock`` the result that is here."""
    here = _outputs(Path(LOCK).read_bytes()) if Path(LOCK).is_file() else {}
    there = _outputs(committed(commit, LOCK, project))
    return bool(here) and here == there


def with_this_lock(commits: Sequence[str], project: Path) -> list[str]:
    """Those commits of a project whose ``dvc.lock`` is to the byte the one that is here.

    Two processes, however many commits there are.
    """
    if not commits:
        return []
    here = git("hash-object", LOCK).strip()
    asked = "".join(f"{commit}:./{LOCK}\n" for commit in commits).encode()
    there = git("cat-file", "--batch-check=%(objectname)", folder=project, given=asked)
    found = zip(commits, there.splitlines(), strict=True)
    return [commit for commit, name in found if name == here]


def committed(commit: str, name: str, project: Path = Path()) -> bytes:
    """A file of a project as a commit has it; empty where it has none."""
    # Exit status 128: the commit has no such file.
    return git("show", f"{commit}:./{name}", folder=project, accepted=(0, 128))


def _yaml(text: bytes, name: str) -> dict[str, Any]:
    return parse_yaml(text.decode(), name) or {}


def _outputs(lock: bytes) -> dict[str, Any]:
    """What a ``dvc.lock`` records of the files that stages made."""
    stages = _yaml(lock, LOCK).get("stages", {})
    return {name: stage["outs"] for name, stage in stages.items() if "outs" in stage}


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _patch(commit: str, changed: list[str]) -> bytes:
    return git("diff", *PATCH, commit, "--", *changed) if changed else b""


def _patches_of_new(paths: list[str]) -> Iterator[bytes]:
    # As seen from git's top, like those of tracked files.
    place = git("rev-parse", "--show-prefix").decode().strip() if paths else ""
    prefixes = (f"--src-prefix=a/{place}", f"--dst-prefix=b/{place}")
    for path in paths:
        # Exit status 1: the two files differ.
        sides = ("--", "/dev/null", path)
        yield git("diff", "--no-index", *PATCH, *prefixes, *sides, accepted=(0, 1))


def _changed_params(commit: str) -> dict[str, tuple[Any, Any]]:
    from runs.tracking import flatten  # noqa: PLC0415

    # Not by DVC's API, which reads the whole pipeline of both states for it.
    before = flatten(_yaml(committed(commit, PARAMS), PARAMS))
    now = flatten(_yaml(Path(PARAMS).read_bytes(), PARAMS))
    return {
        name: (before.get(name), now.get(name))
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    }
