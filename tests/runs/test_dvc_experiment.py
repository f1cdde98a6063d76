"""Where DVC keeps the result of an experiment."""

import re
from pathlib import Path

import pytest

from reid.common.errors import UserError
from runs.dvc_experiment import require_result_is_kept


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
