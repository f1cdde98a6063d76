"""Small photos of coloured blocks in Market-1501 layout: readable and different from each other."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

Layout = dict[str, bytes]
"""The contents of files by their paths in the data set's folder."""


def jpeg(seed: int, width: int = 64, height: int = 128) -> bytes:
    """Make a JPEG of 4 x 2 random colours, different for every seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(colours).resize((width, height), Image.Resampling.NEAREST)
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def layout(train_people: int = 3, test_people: int = 2, images: int = 2) -> Layout:
    """Make a valid data set: people under cameras 1 and 2, a distractor and a junk image."""
    names = [
        (folder, f"{pid:04}_c{camid}s1_{frame:06}_00.jpg")
        for folder, pids in (
            ("bounding_box_train", range(1, train_people + 1)),
            ("bounding_box_test", range(train_people + 1, train_people + test_people + 1)),
        )
        for pid in pids
        for camid in (1, 2)
        for frame in range(1, images + 1)
    ]
    names += [
        ("query", f"{pid:04}_c{camid}s1_000099_00.jpg")
        for pid in range(train_people + 1, train_people + test_people + 1)
        for camid in (1, 2)
    ]
    names += [
        ("bounding_box_test", "0000_c1s1_000001_00.jpg"),
        ("bounding_box_test", "-1_c1s1_000001_00.jpg"),
    ]
    return {f"{folder}/{name}": jpeg(seed) for seed, (folder, name) in enumerate(names)}


def write_folder(files: Layout, root: Path) -> Path:
    """Write a layout as a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(files: Layout, path: Path, top: str = "photos") -> Path:
    """Write a layout as a zip archive with one top folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{top}/{name}", content)
    return path


def say_packed_with(archive: Path, method: int, flags: int = 0) -> None:
    """Make a zip archive say that its members are packed with another method, or encrypted."""
    content = bytearray(archive.read_bytes())
    for signature, at_flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := content.find(signature, start)) >= 0:
            content[start + at_flags : start + at_flags + 4] = struct.pack("<HH", flags, method)
            start += 4
    archive.write_bytes(content)
