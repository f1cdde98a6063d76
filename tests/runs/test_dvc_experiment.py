"""Where DVC runs an experiment, and where it keeps the result."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from reid.common.errors import UserError
from runs.dvc_experiment import require_result_is_kept


@pytest.fixture(autouse=True)
def own_finders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what a test adds to Python's ways to find modules."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])


@pytest.mark.parametrize("name", ["a#1", "why?", "50%", "%20", "für"])
def test_experiment_whose_result_dvc_would_lose_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / name
    temporary = root / ".dvc" / "tmp" / "exps"
    temporary.mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.chdir(root)
    require_result_is_kept()
    monkeypatch.chdir(temporary)
    with pytest.raises(UserError, match=f"temporary folders of .*{re.escape(name)}, because"):
        require_result_is_kept()


def test_experiment_in_a_temporary_folder_of_a_usual_path_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b+c" / "exps").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "a b+c"))
    monkeypatch.chdir(tmp_path / "a b+c" / "exps")
    require_result_is_kept()


@pytest.mark.parametrize("file", ["reid/model/my_blocks.py", "reid/model/my_blocks/__init__.py"])
def test_module_that_git_does_not_know_is_named_in_a_temporary_folder(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / ".dvc" / "tmp" / "exps"
    temporary.mkdir(parents=True)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(temporary)
    require_result_is_kept()
    with pytest.raises(UserError, match=rf"Run `git add {re.escape(file)}` and start"):
        import_module("reid.model.my_blocks")
    with pytest.raises(ModuleNotFoundError):
        import_module("reid.model.nowhere")
