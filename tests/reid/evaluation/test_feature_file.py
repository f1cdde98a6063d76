"""Reading a features file: what it gives, and what it says about a file that can't be used."""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reid.common.errors import UserError
from reid.evaluation.feature_file import read_feature_file
from tests.support.photos import say_packed_with
from tests.support.places import FIXTURES

OWN_FIXTURE = FIXTURES / "evaluation.npz"


def arrays() -> dict[str, Any]:
    with np.load(OWN_FIXTURE) as archive:
        return dict(archive)


def saved(path: Path, **changes: Any) -> Path:
    np.savez(path, **{**arrays(), **changes})
    return path


def test_gives_the_arrays_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    query, gallery = read_feature_file(OWN_FIXTURE)
    for key, array in arrays().items():
        side = query if key.startswith("q") else gallery
        name = {"f": "features", "_pids": "pids", "_camids": "camids"}[key[1:]]
        np.testing.assert_array_equal(getattr(side, name), array)
    assert not caplog.records


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_normalises_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: type
) -> None:
    scale = np.random.default_rng(0).uniform(0.1, 30, (len(arrays()["gf"]), 1))
    path = saved(tmp_path / "raw.npz", gf=(arrays()["gf"] * scale).astype(dtype))
    with caplog.at_level(logging.WARNING):
        _, gallery = read_feature_file(path)
    np.testing.assert_allclose(gallery.features, arrays()["gf"], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(gallery.features, axis=1), 1, atol=1e-6)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: gf: rows have lengths from ")


@pytest.mark.parametrize("width", [3, 16, 257])
def test_equal_rows_stay_equal_when_normalised(tmp_path: Path, width: int) -> None:
    row = np.random.default_rng(width).standard_normal(width).astype(np.float32)
    path = saved(
        tmp_path / "raw.npz",
        qf=np.tile(row, (40, 1)),
        gf=np.tile(row, (3000, 1)),
        g_pids=np.ones(3000, int),
        g_camids=np.ones(3000, int),
    )
    _, gallery = read_feature_file(path)
    assert (gallery.features == gallery.features[0]).all()


def with_value(key: str, row: int, value: float) -> dict[str, np.ndarray]:
    array = arrays()[key]
    array[row] = value
    return {key: array}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (with_value("gf", 5, np.nan), "gf: row 5 holds NaN"),
        (with_value("qf", 2, np.inf), "qf: row 2 holds NaN or infinity"),
        (with_value("gf", 4, 0.0), "gf: row 4 is all zeros"),
        ({"qf": arrays()["qf"][:, 0]}, r"qf has shape \(40,\)"),
        ({"qf": arrays()["qf"][:0]}, r"qf has shape \(0, 16\)"),
        ({"qf": arrays()["qf"][:, :8]}, "query features have 8 columns and gallery features 16"),
        ({"qf": np.ones((40, 16), complex)}, "qf holds complex128"),
        ({"g_pids": arrays()["g_pids"].astype(float)}, "g_pids holds float64"),
        ({"g_pids": arrays()["g_pids"][1:]}, "g_pids has shape"),
        ({"q_camids": arrays()["q_camids"][:, None]}, "q_camids has shape"),
        (with_value("q_pids", 3, 0), "query pids: row 3 is no person"),
        (with_value("g_pids", 3, -5), "g_pids: row 3 is below -1"),
        ({"g_camids": np.array([{}] * 244, object)}, "g_camids can't be read: Python objects"),
    ],
)
def test_names_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    path = saved(tmp_path / "features.npz", **changes)
    with pytest.raises(UserError, match=rf"features\.npz: {message}"):
        read_feature_file(path)


def test_person_0_in_a_query_is_told_of_the_way_out_that_makes_it_a_person(tmp_path: Path) -> None:
    counted_from_0 = {key: arrays()[key] for key in ("q_pids", "g_pids")}
    counted_from_0 = {key: pids - (pids > 0) for key, pids in counted_from_0.items()}
    counted_from_0["g_pids"][arrays()["g_pids"] == 0] = -1
    path = saved(tmp_path / "features.npz", **counted_from_0)
    with pytest.raises(UserError, match="counts people from 0, add --no-distractors"):
        read_feature_file(path)
    query, gallery = read_feature_file(path, distractors=False)
    np.testing.assert_array_equal(query.pids, arrays()["q_pids"])
    expected = np.where(arrays()["g_pids"] == 0, -1, arrays()["g_pids"])
    np.testing.assert_array_equal(gallery.pids, expected)


@pytest.mark.parametrize("key", ["qf", "gf", "q_pids", "g_pids", "q_camids", "g_camids"])
def test_a_missing_key(tmp_path: Path, key: str) -> None:
    kept = {name: array for name, array in arrays().items() if name != key}
    np.savez(tmp_path / "features.npz", **kept)
    with pytest.raises(UserError, match=rf"features\.npz has no {key}: it holds"):
        read_feature_file(tmp_path / "features.npz")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.npz does not exist"):
        read_feature_file(tmp_path / "nowhere.npz")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't be read as an \.npz file"):
        read_feature_file(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 torn"])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "features.npz").write_bytes(content)
    reason = r"features\.npz (can't be read as an \.npz file|is not a readable zip archive)"
    with pytest.raises(UserError, match=reason):
        read_feature_file(tmp_path / "features.npz")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>Sign in</html>", "an HTML page"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
    ],
)
def test_what_stands_in_place_of_the_file_is_named(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(UserError, match=rf"features\.npz is {words}, not an \.npz file"):
        read_feature_file(tmp_path / "features.npz")


@pytest.mark.parametrize(
    ("method", "flags", "reason"),
    [
        (9, 0, r"6 of 6 files are packed with Deflate64, which Python can't unpack"),
        (0, 1, r"6 of 6 files are encrypted with a password"),
    ],
)
def test_an_archive_that_python_cannot_unpack_is_explained(
    tmp_path: Path, method: int, flags: int, reason: str
) -> None:
    np.savez(tmp_path / "features.npz", **arrays())
    say_packed_with(tmp_path / "features.npz", method, flags)
    with pytest.raises(UserError, match=reason):
        read_feature_file(tmp_path / "features.npz")


@pytest.mark.parametrize("folder", ["features/", "features\\"])
def test_arrays_in_a_folder_are_found(tmp_path: Path, folder: str) -> None:
    np.savez(tmp_path / "features.npz", **{folder + key: a for key, a in arrays().items()})
    _, gallery = read_feature_file(tmp_path / "features.npz")
    np.testing.assert_array_equal(gallery.features, arrays()["gf"])


def test_an_archive_that_holds_the_file_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "features.zip", "w") as archive:
        archive.write(OWN_FIXTURE, "run/features.npz")
    with pytest.raises(UserError, match=r"only holds another archive, run/features\.npz"):
        read_feature_file(tmp_path / "features.zip")


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({}),
        b"\x89HDF\r\n\x1a\n",
        b"MATLAB 5.0 MAT-file",
        b"qf,gf\n",
        b'{"qf": []}',
        b"PK",
    ],
)
def test_a_file_of_another_library_gets_no_advice_to_trust_it(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"of another kind\. Save qf, .*with numpy\.savez") as error:
        read_feature_file(tmp_path / "features.npz")
    assert "pickle" not in str(error.value)


@pytest.mark.parametrize("name", ["features.npy", "features.npz"])
def test_python_objects_get_no_advice_to_trust_them(tmp_path: Path, name: str) -> None:
    objects = np.array([arrays()], object)
    with (tmp_path / name).open("wb") as file:
        if name.endswith("y"):
            np.save(file, objects)
        else:
            np.savez(file, **(arrays() | {"qf": objects}))
    with pytest.raises(UserError, match=r"Python objects are refused, .* Save qf") as error:
        read_feature_file(tmp_path / name)
    assert "pickle" not in str(error.value)


def test_an_array_with_a_header_of_another_program_is_explained(tmp_path: Path) -> None:
    header = b"\x93NUMPY\1\0\xff\xff" + b"{" * 65_535
    with zipfile.ZipFile(tmp_path / "features.npz", "w") as archive:
        for key in arrays():
            archive.writestr(f"{key}.npy", header)
    with pytest.raises(UserError, match=r"qf can't be read: Header info .* Save qf") as error:
        read_feature_file(tmp_path / "features.npz")
    assert "pickle" not in str(error.value)


def test_ten_arrays_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    layers: dict[str, Any] = {f"layer{n}": np.ones(1) for n in range(300)}
    np.savez(tmp_path / "features.npz", **layers)
    with pytest.raises(UserError, match=r"layer9, and 290 more\. Save qf"):
        read_feature_file(tmp_path / "features.npz")


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "features.npy", arrays()["qf"])
    with pytest.raises(UserError, match=r"features\.npy is a single array"):
        read_feature_file(tmp_path / "features.npy")


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_damaged_file(tmp_path: Path, place: float) -> None:
    content = bytearray(OWN_FIXTURE.read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"features\.npz"):
        read_feature_file(tmp_path / "features.npz")
