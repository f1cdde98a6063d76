"""The worked examples of ``docs/adding.md`` do what the page says."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.support.places import ROOT
from tests.support.project import Project

PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
LINES = 20


def blocks(language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def apply_examples(project: Project, folder: Path) -> None:
    """Write the files and apply the patches of the page to a project."""
    for block in blocks("python"):
        path, _, content = block.removeprefix("# ").partition("\n")
        (project.root / path).write_text(content)
    patch = folder / "examples.patch"
    patch.write_text("".join(blocks("diff")))
    project.must("git", "apply", str(patch))


@pytest.mark.parametrize("language", ["python", "diff"])
def test_no_example_is_long(language: str) -> None:
    for block in blocks(language):
        assert len([line for line in block.splitlines() if line.strip()]) <= LINES


def test_pipeline_trains_with_all_examples(unfinished: Project, tmp_path: Path) -> None:
    project = unfinished
    apply_examples(project, tmp_path)
    project.set_params({"model": {"backbone": "small"}, "baseline": {"epochs": 1}})
    project.must("dvc", "repro", "count", "train_triplet")
    counts = json.loads((project.root / "build" / "cameras.json").read_text())
    source = json.loads((project.root / "build" / "dataset" / "source.json").read_text())
    assert sum(counts.values()) == sum(source["images"].values())
    validation = json.loads((project.root / "build" / "validation.json").read_text())
    (found,) = [e for e in validation["expectations"] if e["name"] == "taller_than_wide"]
    assert found["success"]
    with zipfile.ZipFile(project.root / "models" / "triplet" / "best.keras") as file:
        assert "conv1" in file.read("config.json").decode()
    history = pd.read_csv(project.root / "models" / "triplet" / "history.csv")
    # The contrastive loss of embeddings of length 1: at most 4 per pair, more than 0 untrained.
    assert history["triplet_loss"].between(0, 4, inclusive="neither").all()
