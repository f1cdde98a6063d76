"""The environment that ``make`` installs: which Python makes it, and what mends it."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.support.places import ROOT

FILES = ("Makefile", "requirements.lock", "requirements-dev.lock")
CLAIMING_PYTHON = ROOT / "tests" / "support" / "claiming_python.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has no environment yet. Its path has letters that mean something to a shell."""
    folder = tmp_path / "It's $HOME #1 %20"
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    stub = folder / "bin" / "python3"
    stub.parent.mkdir()
    stub.write_text(f"#!{sys.executable}\n{CLAIMING_PYTHON.read_text()}")
    stub.chmod(0o755)
    return folder


def make(
    folder: Path, claimed: str = "3.12", install: str = "true", python: str = "python3"
) -> "subprocess.CompletedProcess[str]":
    """Make the environment with a Python that claims a version; ``install`` stands for uv."""
    # As after `source .venv/bin/activate`, the environment's own Python comes first.
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # `make test` hands its own settings on.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTHON"))}
    return subprocess.run(
        ["make", ".venv/run", f"INSTALL={install}", f"PYTHON={python}"],
        cwd=folder,
        env=inherited | {"PATH": path, "CLAIMED": claimed},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def is_whole(folder: Path) -> bool:
    venv = folder / ".venv"
    works = subprocess.run([venv / "bin" / "python", "-c", ""], check=False).returncode == 0
    return works and (venv / "run").exists() and not (venv / "leftover").exists()


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"])
def test_python_that_tensorflow_does_not_support_makes_no_environment(
    folder: Path, version: str
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    done = make(folder, claimed=version)
    if SpecifierSet(project["requires-python"]).contains(version):
        assert done.returncode == 0, done.stdout
        assert is_whole(folder)
    else:
        assert done.returncode != 0
        assert (
            f"error: python3 is Python {version}, but TensorFlow needs Python 3.11" in done.stdout
        )
        assert "make PYTHON=python3.13" in done.stdout
        assert not (folder / ".venv").exists()


def test_python_that_is_not_there_is_named(folder: Path) -> None:
    done = make(folder, python="python3.99")
    assert done.returncode != 0
    assert "error: there is no python3.99. TensorFlow needs Python 3.11" in done.stdout
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("fault", ["interrupted", "made by hand", "its Python is gone"])
def test_environment_that_is_not_whole_is_made_anew(folder: Path, fault: str) -> None:
    venv = folder / ".venv"
    if fault == "interrupted":
        assert make(folder, install="false").returncode != 0
    elif fault == "made by hand":
        (venv / "bin").mkdir(parents=True)
    else:
        make(folder)
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/no/such/python")
    (venv / "leftover").touch()
    done = make(folder)
    assert done.returncode == 0, done.stdout
    assert is_whole(folder)


def test_environment_of_a_project_that_was_moved_is_made_anew(folder: Path) -> None:
    assert make(folder).returncode == 0
    (folder / ".venv" / "leftover").touch()
    moved = folder.rename(folder.with_name("moved"))
    assert make(moved).returncode == 0
    assert is_whole(moved)


def test_whole_environment_stays_if_an_update_fails(folder: Path) -> None:
    make(folder)
    assert "up to date" in make(folder, claimed="3.14").stdout
    kept = folder / ".venv" / "kept"
    kept.touch()
    later = (folder / ".venv" / "run").stat().st_mtime + 1
    os.utime(folder / "requirements.lock", (later, later))
    assert make(folder, install="false").returncode != 0
    assert make(folder).returncode == 0
    assert kept.exists()
