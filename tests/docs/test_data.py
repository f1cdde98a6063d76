"""The recipes of docs/data.md, on drawn archives in the form of the published ones."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reid.data.dataset import read_index
from reid.data.market import FORMS, form_of, forms_that_read
from reid.preparation.ingest import ingest
from reid.sources.source import open_source
from tests.support.photos import jpeg, write_folder, write_zip
from tests.support.places import ROOT

TEXT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")

MSMT17_LISTS = {
    "list_train.txt": "0000/0000_000_01_0303morning_0008_0.jpg 0\n",
    "list_val.txt": "0001/0001_003_14_0303noon_0008_0_ex.jpg 1\n",
    "list_query.txt": "0000/0000_001_04_0302noon_0008_0.jpg 0\n",
    "list_gallery.txt": "0000/0000_002_15_0302noon_0009_1.jpg 0\n",
}


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of code below a heading."""
    section = re.split(r"^#+ ", TEXT, flags=re.MULTILINE)
    (found,) = [part for part in section if part.startswith(f"{heading}\n")]
    return re.findall(rf"```{language}\n(.*?)```", found, re.DOTALL)


def drawn(*names: str) -> dict[str, bytes]:
    return {name: jpeg(seed) for seed, name in enumerate(names)}


def duke() -> None:
    folders = ("bounding_box_train", "query", "bounding_box_test")
    files = [f"{f}/000{i}_c{i + 1}_f0046985.jpg" for i, f in enumerate(folders, 1)]
    write_zip(drawn(*files), Path("data/DukeMTMC-reID.zip"), "DukeMTMC-reID")


def veri() -> None:
    folders = ("image_train", "image_query", "image_test")
    files = [f"{f}/000{i}_c00{i + 1}_00016450_0.jpg" for i, f in enumerate(folders, 1)]
    write_folder(drawn(*files), Path("VeRi"))


def msmt() -> None:
    for name, line in MSMT17_LISTS.items():
        photos = "train" if name in ("list_train.txt", "list_val.txt") else "test"
        write_folder(drawn(line.split()[0]), Path("MSMT17_V1") / photos)
        (Path("MSMT17_V1") / name).write_text(line)


def cuhk() -> None:
    folders = ("bounding_box_train", "query", "bounding_box_test")
    for version in ("detected", "labeled"):
        files = [f"{f}/000{i}_c{i % 2 + 1}_1.png" for i, f in enumerate(folders, 1)]
        write_folder(drawn(*files), Path("cuhk03-np") / version)


def own() -> None:
    files = [f"{person}/{photo}.jpg" for person in ("anna", "bert") for photo in ("a", "b")]
    write_folder(drawn(*files), Path("photos"))


@pytest.mark.parametrize(
    ("heading", "archive", "expected"),
    [
        ("DukeMTMC-reID", duke, {"train": [(1, 2)], "query": [(2, 3)], "gallery": [(3, 4)]}),
        ("VeRi-776", veri, {"train": [(1, 2)], "query": [(2, 3)], "gallery": [(3, 4)]}),
        (
            "MSMT17",
            msmt,
            {"train": [(2**31 - 1, 1), (1, 14)], "query": [(2000, 4)], "gallery": [(2000, 15)]},
        ),
        ("CUHK03-NP", cuhk, {"train": [(1, 2)], "query": [(2, 1)], "gallery": [(3, 2)]}),
        (
            "Your own photos",
            own,
            {"train": [(1, 1), (1, 1)], "query": [(2, 1)], "gallery": [(2, 1)]},
        ),
    ],
)
def test_recipe_makes_a_data_set_that_its_parameters_read(
    heading: str, archive: Any, expected: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    archive()
    for script in blocks(heading, "bash"):
        subprocess.run(["bash", "-euc", script], check=True)
    for script in blocks(heading, "python"):
        subprocess.run([sys.executable, "-c", script], check=True)
    (text,) = blocks(heading, "yaml")
    params = yaml.safe_load(text)
    with open_source(Path("data")) as source:
        ingest(source, Path("dataset"), "bounding_box_test", params["ingest"]["names"])
    index = read_index(Path("dataset"))
    found = {
        subset: list(zip(rows["pid"], rows["camid"], strict=True))
        for subset, rows in index.groupby("subset")
    }
    assert found == expected


def test_changed_parameters_are_those_of_the_pipeline() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL):
        for group, values in yaml.safe_load(text).items():
            assert values.keys() <= params[group].keys()


def test_table_of_names_has_each_form_with_a_name_of_this_form() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \|", TEXT, re.MULTILINE)
    assert [form for form, _ in rows] == list(FORMS)
    for form, example in rows:
        assert forms_that_read([example]) == [form]


def test_expression_of_the_page_reads_the_name_next_to_it() -> None:
    (line,) = re.findall(r"^  names: '(.*)'    # (\S+)$", TEXT, re.MULTILINE)
    parsed = form_of(line[0]).parse(line[1])
    assert parsed is not None
    assert (parsed.pid, parsed.camid) == (17, 2)
