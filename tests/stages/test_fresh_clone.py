"""A clone of this repository, by somebody whose git rewrites line ends, before the first result."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from reid.data.paths import PIPELINE
from runs.git import git, names
from tests.support.places import ROOT

INGEST = "python -m stages.ingest"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    # With `--config`, the new repository keeps the settings.
    options = ("--quiet", "--config", "core.autocrlf=true", "--config", "core.eol=crlf")
    git("clone", *options, str(ROOT), str(folder))
    return folder


def test_every_file_has_the_bytes_that_were_committed(clone: Path) -> None:
    files = names(git("ls-files", "-z", folder=clone))
    committed = git("ls-files", "--format=%(objectname)", folder=clone).split()
    asked = "\n".join(files).encode()
    here = git("hash-object", "--no-filters", "--stdin-paths", folder=clone, given=asked).split()
    assert dict(zip(files, here, strict=True)) == dict(zip(files, committed, strict=True))


@pytest.mark.slow
def test_stage_can_be_an_experiment_although_no_remote_has_the_results(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    git("config", "user.name", "Test")
    git("config", "user.email", "test@localhost")
    # What counts here comes after the stage's work, so the stage has none.
    pipeline = Path(PIPELINE)
    pipeline.write_text(pipeline.read_text("utf-8").replace(INGEST, "mkdir build/dataset"))
    with Repo() as repo:
        (plots,) = repo.find_outs_by_path("plots/baseline")
        assert not repo.cloud.get_remote_odb().exists(plots.hash_info.value)
        repo.pull(["data.dvc"])
        repo.experiments.run(targets=["ingest"], name="one-stage")
        assert "one-stage" in {
            name for names in repo.experiments.ls().values() for name, _ in names
        }
