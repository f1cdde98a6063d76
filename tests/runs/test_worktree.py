"""The changes of a working tree since a commit, and that the tree can be restored from them."""

from pathlib import Path

import pytest

from reid.common.errors import listed
from runs.worktree import CHANGES, Declarations, WorkTree, compared_with, has_result
from tests.support.project import Project

DECLARED = Declarations(
    data=("data.dvc",),
    inputs=("code/used.py", "code/package", "data"),
    outputs=("figures", "metrics.json"),
    figures=("metrics.json",),
)


def data_file(digit: str) -> bytes:
    """A .dvc file of photos."""
    return f"outs:\n- md5: {32 * digit}.dir\n  hash: md5\n  path: data\n".encode()


FILES = {
    "params.yaml": b"lr: 0.01\nmodel: {width: 64, name: a}\n",
    "dvc.yaml": b"stages: {}\n",
    "dvc.lock": b"schema: '2.0'\n",
    "metrics.json": b"{}\n",
    "data.dvc": data_file("a"),
    "code/used.py": b"used = 1\n",
    "code/package/part.py": b"part = 1\n",
    "code/unused.py": b"unused = 1\n",
    "code/windows.py": b"one = 1\r\n",
    "figures/table.json": b"{}\n",
    "notes with spaces.md": b"notes\n",
    "picture.bin": bytes(range(256)),
}


@pytest.fixture(params=[".", "a team's/project"])
def place(request: pytest.FixtureRequest) -> str:
    """Where in its repository a project lies."""
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "repository" / place)
    made.root.mkdir(parents=True)
    for command in (
        ("git", "init", "--quiet", str(tmp_path / "repository")),
        ("git", "config", "user.name", "Test"),
        ("git", "config", "user.email", "test@localhost"),
        # What patches are made of must not depend on what a user likes to see.
        ("git", "config", "diff.noprefix", "true"),
        ("git", "config", "diff.relative", "true"),
        ("dvc", "init", "--quiet", *(() if place == "." else ("--subdir",))),
    ):
        made.must(*command)
    (made.root / ".gitignore").write_text("/data\n")
    write(made, FILES)
    made.commit()
    monkeypatch.chdir(made.root)
    return made


def write(project: Project, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def worktree_of(project: Project) -> WorkTree:
    return compared_with(project.must("git", "rev-parse", "HEAD").strip(), DECLARED)


def result_is_in_head(project: Project) -> bool:
    return has_result(project.must("git", "rev-parse", "HEAD").strip())


def test_committed_tree_has_no_changes(project: Project) -> None:
    made = {
        "dvc.lock": b"schema: '2.0'\n\n",
        "metrics.json": b"[]\n",
        "figures/table.json": b"[]\n",
    }
    write(project, made | {"stray.txt": b"x"})
    worktree = worktree_of(project)
    assert (worktree.determining, worktree.params, worktree.patch) == ((), {}, b"")
    assert worktree.tags() == {"git_dirty": "false"}
    assert not result_is_in_head(project)


def test_parameters_and_documents_do_not_make_a_tree_dirty(project: Project) -> None:
    write(project, {"params.yaml": b"lr: 0.02\nmodel: {width: 64, name: a}\nseed: 1\n"})
    write(project, {"notes with spaces.md": b"other\n"})
    worktree = worktree_of(project)
    assert worktree.determining == ()
    assert b"notes with spaces.md" in worktree.patch
    assert worktree.params == {"lr": (0.01, 0.02), "seed": (None, 1)}
    assert worktree.tags() == {
        "git_dirty": "false",
        "params_changed": "lr: 0.01 -> 0.02, seed: None -> 1",
    }


def test_tree_can_be_restored(project: Project, place: str, tmp_path: Path) -> None:
    changes = {
        "params.yaml": b"lr: 0.02\n",
        "dvc.yaml": b"stages: {a: {cmd: b}}\n",
        "metrics.json": b'{"rank1": 1}\n',
        "data.dvc": data_file("b"),
        "code/used.py": b"used = 2",
        "code/package/new part.py": b"new = 1\n",
        "code/windows.py": b"one = 1\r\ntwo = 2 \r\n",
        "code/new_beside.py": b"beside = 1\n",
        "notes with spaces.md": "späte Notiz\n".encode(),
        "picture.bin": bytes(reversed(range(256))),
    }
    write(project, changes)
    (project.root / "code" / "unused.py").unlink()
    write(project, {"data/photo.jpg": b"large", "somewhere/large.bin": b"not of the pipeline"})
    worktree = worktree_of(project)
    assert worktree.tags()["git_dirty"] == "true"
    assert worktree.determining == (
        *("code/package/new part.py", "code/used.py", "data.dvc", "dvc.yaml"),
    )
    kept = tmp_path / "kept"
    kept.mkdir()
    worktree.write(kept)
    clone = Project(tmp_path / "clone" / place)
    project.must("git", "clone", "--quiet", str(tmp_path / "repository"), str(tmp_path / "clone"))
    clone.must("git", "apply", str(kept / CHANGES))
    (kept / CHANGES).unlink()
    clone.must("cp", "-R", f"{kept}/.", ".")
    for name, content in (FILES | changes).items():
        if name != "code/unused.py":
            assert (clone.root / name).read_bytes() == content, name
    assert not (clone.root / "code" / "unused.py").exists()
    assert not (clone.root / "somewhere").exists()


def test_passwords_of_remotes_do_not_travel(project: Project) -> None:
    project.must("dvc", "remote", "add", "storage", "s3://bucket")
    project.must("dvc", "remote", "modify", "storage", "secret_access_key", "s3cret")
    worktree = worktree_of(project)
    assert (worktree.determining, worktree.patch) == ((), b"")
    write(project, {"code/used.py": b"used = 2\n"})
    worktree = worktree_of(project)
    assert worktree.determining == ("code/used.py",)
    assert b"used = 2" in worktree.patch
    assert b"s3cret" not in worktree.patch


def test_tree_without_a_commit_has_no_tags(project: Project) -> None:
    worktree = compared_with("", DECLARED)
    assert worktree.tags() == {}
    assert "params.yaml" in worktree.whole


def test_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(7)], limit=5) == "0, 1, 2, 3, 4, and 2 more"


def test_commit_has_the_result_if_its_lock_records_the_same_outputs(project: Project) -> None:
    pipeline = b"stages:\n  train:\n    cmd: train\n    outs:\n    - model\n"
    lock = (
        b"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n"
        b"    - path: model\n      hash: md5\n      md5: %s\n" % (32 * b"a")
    )
    write(project, {"dvc.yaml": pipeline, "dvc.lock": lock})
    assert not result_is_in_head(project)
    project.commit()
    assert result_is_in_head(project)
    # What always runs has no outputs, and is recorded after the run was described.
    write(project, {"dvc.lock": lock + b"  track:\n    cmd: track\n"})
    assert result_is_in_head(project)
    write(project, {"dvc.lock": lock.replace(b"a" * 32, b"b" * 32)})
    assert not result_is_in_head(project)
