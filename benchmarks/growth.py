"""Time and memory of each stage with 1, 2 and 4 times the photos: ``python -m benchmarks.growth``.

The photos are those of ``build/dataset``, and copies of them under other people's numbers. The
pipeline runs in clones, with one epoch for each model.
"""

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline import DVC, Spent, run_stage, stage_names
from reid.data import paths
from reid.data.dataset import read_columns
from reid.data.market import GALLERY_FOLDERS, QUERY_FOLDER, SUBSETS, TRAIN_FOLDER

FACTORS = (1, 2, 4)
APART = 10_000
"""The distance of a person's number from that of the same person's copy."""
QUICK = {
    ("baseline", "epochs"): 1,
    ("triplet", "epochs"): 1,
    ("triplet", "refit_epochs"): 0,
    ("validate", "official_counts"): False,
}
"""The parameters that differ from those of ``params.yaml``."""
FOLDERS = (TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDERS[0])


def renamed(name: str, copy: int) -> str:
    """Return the name of a copy: that of another person, or of another frame if there is none."""
    person, camera, frame, rest = name.split("_", 3)
    if int(person) > 0:
        person = f"{int(person) + copy * APART:04d}"
    else:
        frame = f"{int(frame) + copy * 100_000:06d}"
    return "_".join((person, camera, frame, rest))


def write_photos(archive: Path, factor: int) -> None:
    """Write an archive with so many times the photos of ``build/dataset``."""
    with zipfile.ZipFile(archive, "w") as written:
        for subset, photos in zip(SUBSETS, FOLDERS, strict=True):
            columns = read_columns(paths.DATASET, subset, ("name", "image"))
            for name, image in zip(columns["name"], columns["image"], strict=True):
                for copy in range(factor):
                    # Bytes after the end of a JPEG file make it another file.
                    content = image + bytes([copy]) * copy
                    place = f"market/{photos}/{renamed(Path(name).name, copy)}"
                    written.writestr(place, content)


def measured(factor: int, folder: Path) -> Iterator[tuple[str, Spent]]:
    """Yield each stage, and what it takes for so many times the photos."""

    def run(*command: str) -> None:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)
    run(*DVC, "pull", "pretrained.dvc")
    (folder / paths.DATA).mkdir()
    write_photos(folder / paths.DATA / "market.zip", factor)
    run(*DVC, "add", str(paths.DATA))
    file = folder / paths.PARAMS
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    for (group, name), value in QUICK.items():
        params[group][name] = value
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    for name in stage_names(folder):
        yield name, run_stage(name, folder)


def main() -> None:
    """Print a table."""
    found: dict[str, list[Spent]] = {}
    with TemporaryDirectory() as temporary:
        for factor in FACTORS:
            for name, spent in measured(factor, Path(temporary) / str(factor)):
                found.setdefault(name, []).append(spent)
    table = Table("stage", title="seconds, peak MiB")
    for factor in FACTORS:
        table.add_column(f"{factor} x", justify="right")
    for name, all_spent in found.items():
        table.add_row(name, *(f"{spent.seconds:.0f}, {spent.peak:.0f}" for spent in all_spent))
    Console().print(table)


if __name__ == "__main__":
    main()
