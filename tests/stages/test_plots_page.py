"""The page of `dvc plots show`, which has to work without a network."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.project import Project

PAGE = ROOT / ".dvc" / "plots_page"


def test_page_is_built_from_its_parts() -> None:
    build = runpy.run_path(str(PAGE / "build.py"))["build"]
    assert build() == (PAGE / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_plots_are_shown_without_a_network(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.must("git", "init", "--quiet")
    project.init_dvc()
    shutil.copytree(PAGE, tmp_path / ".dvc" / "plots_page")
    (tmp_path / "curve.csv").write_text("epoch,loss\n1,2.5\n2,1.25\n")
    (tmp_path / "dvc.yaml").write_text("plots:\n  - curve.csv:\n      x: epoch\n      y: loss\n")
    project.must("dvc", "plots", "show")
    page = (tmp_path / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)\s*=\s*[\"']https?:", page) == []
    assert "vegaEmbed('#" in page
    assert '"loss": "1.25"' in page
