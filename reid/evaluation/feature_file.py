"""A file of query and gallery features from any model, to be scored.

The file is a NumPy ``.npz`` with the floating-point arrays ``qf`` (q, d) and ``gf`` (n, d), and the
integer arrays ``q_pids``, ``q_camids`` (q,), ``g_pids`` and ``g_camids`` (n,). In the gallery, pid
-1 is junk and 0 is a distractor. Files with Python objects are refused: reading them could run
code.
"""

import logging
import zipfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from reid.common.errors import UserError, first_line, listed
from reid.common.file_type import file_type, read_head
from reid.data.market import DISTRACTOR_PID
from reid.protocol.feature_set import (
    FeatureSet,
    FloatArray,
    as_feature_matrix,
    check_comparable,
    has_unit_length,
)
from reid.sources.zip_archive import DAMAGED, member_path, members, open_zip

QUERY_KEYS = ("qf", "q_pids", "q_camids")
GALLERY_KEYS = ("gf", "g_pids", "g_camids")

SAVE = f"Save {', '.join((*QUERY_KEYS, *GALLERY_KEYS))} together with numpy.savez"
NUMPY_ARRAY = b"\x93NUMPY"
"""The first bytes of an ``.npy`` file."""
OBJECTS = "Object arrays"
"""The beginning of NumPy's error for an array of Python objects. The rest of the error advises
``allow_pickle``, which would run the code of a stranger."""

ROWS_AT_ONCE = 1024
"""The rows that are normalised together. The squares of a row take twice the memory of the row."""

logger = logging.getLogger(__name__)


def read_feature_file(path: Path, distractors: bool = True) -> tuple[FeatureSet, FeatureSet]:
    """Read the query set and the gallery of a features file.

    Rows that do not have length 1 are L2-normalised, as the protocol requires, and a warning is
    logged.

    Args:
        path: the file.
        distractors: whether pid 0 is a distractor. If not, it is a person, and all people get the
            next higher number.

    Raises:
        UserError: the file or an array in it can't be used; the message names both.
    """
    archive = _opened(path)
    with archive:
        _require_keys(archive, path)
        query = _read_set(archive, QUERY_KEYS, path, distractors)
        gallery = _read_set(archive, GALLERY_KEYS, path, distractors)
    try:
        check_comparable(query, gallery)
    except UserError as error:
        hint = ". If the file counts people from 0, add --no-distractors"
        counts_from_0 = (query.pids == DISTRACTOR_PID).any()
        raise UserError(f"{path}: {error}{hint if counts_from_0 else ''}") from None
    return query, gallery


def _opened(path: Path) -> NpzFile:
    """Open a features file, after a look at what it is.

    Raises:
        UserError: the file is no ``.npz`` file, or its arrays can't be unpacked.
    """
    try:
        head = read_head(path)
        kind = file_type(head)
        if kind and kind.group != "zip":
            raise UserError(f"{path} is {kind.words}, not an .npz file. To do: {kind.advice}.")
        if not kind and not head.startswith(NUMPY_ARRAY):
            raise UserError(f"{path} can't be read as an .npz file: it is of another kind. {SAVE}")
        if kind:
            with open_zip(path) as packed:
                _require_arrays(members(packed), path)
        archive = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name a features file (.npz)") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} can't be read as an .npz file: {_reason(error)}") from None
    if not isinstance(archive, NpzFile):
        raise UserError(f"{path} is a single array. {SAVE}")
    return archive


def _require_arrays(packed: Collection[PurePosixPath], path: Path) -> None:
    files = [member for member in packed if member.suffix == ".npz"]
    if files and not any(member.suffix == ".npy" for member in packed):
        raise UserError(
            f"{path} only holds another archive, {listed([str(file) for file in files])}. "
            "Unpack it and name the file that was in it."
        )


def _require_keys(archive: NpzFile, path: Path) -> None:
    missing = [key for key in (*QUERY_KEYS, *GALLERY_KEYS) if not _stored_name(archive, key)]
    if missing:
        found = listed(archive.files) or "nothing"
        raise UserError(f"{path} has no {', '.join(missing)}: it holds {found}. {SAVE}")


def _stored_name(archive: NpzFile, key: str) -> str:
    """Return the name under which an archive holds an array: the key, or the key in a folder.

    Return an empty name if there is no such array, or several.
    """
    if key in archive.files:
        return key
    stored = [name for name in archive.files if member_path(name).name == key]
    return stored[0] if len(stored) == 1 else ""


def _read_set(
    archive: NpzFile, keys: tuple[str, str, str], path: Path, distractors: bool
) -> FeatureSet:
    features_name, pids_name, camids_name = (f"{path}: {key}" for key in keys)
    features_key, pids_key, camids_key = keys
    features = as_feature_matrix(_read_array(archive, features_key, path), features_name)
    read = FeatureSet(
        _with_unit_length(features, features_name),
        _read_array(archive, pids_key, path),
        _read_array(archive, camids_key, path),
        names=(features_name, pids_name, camids_name),
    )
    if distractors:
        return read
    return replace(read, pids=read.pids + (read.pids >= DISTRACTOR_PID))


def _read_array(archive: NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        array = archive[_stored_name(archive, key)]
    except (*DAMAGED, MemoryError) as error:
        raise UserError(f"{path}: {key} can't be read: {_reason(error)}") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: {key} is not a NumPy array: save the file with numpy.savez")
    return array


def _reason(error: Exception) -> str:
    """Word an error of NumPy's without its advice to trust the file."""
    if str(error).startswith(OBJECTS):
        return f"Python objects are refused, because reading them could run code. {SAVE}"
    return f"{first_line(error)}. {SAVE}"


def _with_unit_length(features: FloatArray, name: str) -> FloatArray:
    """L2-normalise all rows in place, unless each has length 1 already."""
    if has_unit_length(features).all():
        return features
    lengths = _row_lengths(features)
    if not lengths.all():
        raise UserError(
            f"{name}: row {int(lengths.argmin())} is all zeros and has no direction to compare"
        )
    logger.warning(
        "%s: rows have lengths from %.4g to %.4g; L2-normalised before scoring",
        name,
        lengths.min(),
        lengths.max(),
    )
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        features[rows] = features[rows] / lengths[rows, None]
    return features


def _row_lengths(features: FloatArray) -> NDArray[np.float64]:
    """Return the lengths (n,) of the rows of (n, d), in float64, which float32 can't overflow."""
    lengths = np.empty(len(features))
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        lengths[rows] = np.sqrt(np.square(features[rows], dtype=np.float64).sum(axis=1))
    return lengths
