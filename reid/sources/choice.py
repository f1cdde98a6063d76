"""Choose what to read in ``data/``: one's own data set, or the sample if nothing else lies there.

Nothing is passed over silently. What can't be read is named, by its first bytes and not by its name
alone: a download tool's ``Market.zip.1`` is an archive like any other if it is whole.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from reid.common.errors import NEXT_LINE, UserError, listed
from reid.common.file_type import FileType, file_type, read_head
from reid.data.market import GALLERY_FOLDERS, QUERY_FOLDER, SAMPLE_NAME, TRAIN_FOLDER
from reid.sources.files import FolderFiles, links_lead_nowhere
from reid.sources.layout import (
    LAYOUT_FOLDERS,
    expected_folder,
    is_layout_image,
    require_usable_names,
)
from reid.sources.litter import is_litter
from reid.sources.zip_archive import member_path, open_zip

UNFINISHED = re.compile(
    r"\.(part|partial|crdownload|opdownload|download|filepart|aria2|!ut|!qb|bc!|dtapart|tmp)$",
    re.IGNORECASE,
)
"""The names of downloads that have not ended, as browsers and download tools give them."""
UNFINISHED_FOLDER = ".download"
"""The ending of the folder in which Safari keeps a download that has not ended."""
PART = re.compile(
    r"\.(\d{3}|z\d{2}|r\d{2}|part\d+(\.rar)?|(zip|tar|tgz|7z)[._]?a[a-z])$", re.IGNORECASE
)
"""The names of the parts of an archive that was split."""
ARCHIVE = re.compile(
    r"\.(zipx?|tar|tgz|tbz2?|txz|tzst|tlz|gz|bz2|xz|zst|lz4|lzma|lz|z|7z|rar|cab|arj|ace|lzh|lha"
    r"|dmg|iso)(\.\d+)?$",
    re.IGNORECASE,
)
KEEPERS = {".gitignore", ".gitkeep", ".gitattributes", ".keep"}
"""Files that git users put into a folder. They are neither data nor in its way."""


def choose(data: Path) -> list[Path]:
    """Return the folder or the zip archives to read: ``data`` itself, or what lies in it.

    Several archives may be parts of one data set, or several data sets: the caller has to find out.

    Raises:
        UserError: there is nothing to read, or an archive, an unfinished download or a link that
            can't be used.
    """
    if data.is_file():
        return [data]
    if data.is_symlink() and not data.exists():
        raise UserError(links_lead_nowhere([f"{data} -> {data.readlink()}"]))
    if not data.is_dir():
        raise UserError(
            f"{data} is not a folder. Get the sample with `dvc pull data.dvc`, "
            "or put your own data set into data/ and run `dvc add data`."
        )
    entries = [path for path in sorted(data.iterdir()) if not _is_in_nobodys_way(path)]
    require_usable_names(str(data), [path.name for path in entries])
    dangling = [f"{path} -> {path.readlink()}" for path in entries if not path.exists()]
    if dangling:
        raise UserError(links_lead_nowhere(dangling))
    sample = [path for path in entries if _is_sample(path)]
    own = [path for path in entries if path not in sample]
    found = _own_data_sets(data, own)
    strangers = [path for path in own if path not in found]
    _refuse_leftovers(strangers, found)
    if not found and strangers:
        raise UserError(_no_data_set(data, strangers))
    if not found and not sample:
        raise UserError(
            f"{data} holds no data set: neither a zip archive nor a folder with "
            f"{TRAIN_FOLDER}/, {QUERY_FOLDER}/ and {GALLERY_FOLDERS[0]}/. "
            "Put one there and run `dvc add data`."
        )
    return found or sample


def count_strangers(data: Path, chosen: Sequence[Path]) -> int:
    """Return the number of files that lie in ``data`` next to the chosen data set."""
    if not data.is_dir() or data in chosen:
        return 0
    others = [
        path
        for path in data.iterdir()
        if path not in chosen and not _is_in_nobodys_way(path) and not _is_sample(path)
    ]
    folders = [path for path in others if path.is_dir() and not path.name.startswith(".")]
    in_folders = sum(len(FolderFiles(folder).paths()) for folder in folders)
    return in_folders + sum(path.is_file() for path in others)


def _is_in_nobodys_way(path: Path) -> bool:
    return is_litter(Path(path.name)) or path.name in KEEPERS


def _is_sample(path: Path) -> bool:
    return path.name in (SAMPLE_NAME, f"{SAMPLE_NAME}.zip")


def _own_data_sets(data: Path, own: Sequence[Path]) -> list[Path]:
    """Return what looks like a data set among the files and folders in ``data``."""
    folders = [path for path in own if path.is_dir() and path.suffix != UNFINISHED_FOLDER]
    zips = [path for path in own if path.is_file() and _is_data_zip(path)]
    if any(path.name in LAYOUT_FOLDERS or expected_folder(path.name) for path in folders):
        return [data, *zips]
    return sorted([*(path for path in folders if not path.name.startswith(".")), *zips])


def _is_data_zip(path: Path) -> bool:
    """Return whether a file is a whole zip archive, and is called .zip or holds photos."""
    if not read_head(path).startswith(b"PK") and path.suffix.lower() != ".zip":
        return False
    try:
        with open_zip(path) as archive:
            names = archive.namelist()
    except UserError:
        return False
    return path.suffix.lower() == ".zip" or any(is_layout_image(member_path(n)) for n in names)


def _refuse_leftovers(strangers: Sequence[Path], found: Sequence[Path]) -> None:
    """Raise UserError if archives or downloads are left that can't be read, next to anything."""
    faults = [fault for path in strangers if (fault := _fault(path))]
    if not faults:
        return
    text = listed(faults, separator=NEXT_LINE)
    if len(faults) > 1:
        text = f"These files can't be read:{NEXT_LINE}{text}"
    if len(found) == 1:
        text += f"\nIf {found[0]} is the data set, remove the other files."
    raise UserError(text)


def _fault(path: Path) -> str | None:
    """Return what is wrong with an archive or a download, or None if the path is neither."""
    if path.suffix == UNFINISHED_FOLDER if path.is_dir() else UNFINISHED.search(path.name):
        return f"{path} is a download that has not ended. Finish it, or remove it."
    if not path.is_file():
        return None
    if PART.search(path.name):
        return (
            f"{path} is a part of an archive that was split. Join the parts and unpack the whole, "
            "then remove the parts."
        )
    is_called_archive = ARCHIVE.search(path.name) is not None
    if is_called_archive and path.stat().st_size == 0:
        return f"{path} is empty. Get it again."
    return _fault_of_content(path, file_type(read_head(path)), is_called_archive)


def _fault_of_content(path: Path, kind: FileType | None, is_called_archive: bool) -> str | None:
    if kind and kind.group == "archive":
        return f"{path} is not a zip archive but {kind.words}. {_sentence(kind.advice)}"
    if path.suffix.lower() == ".zip" if kind is None else kind.group == "zip":
        return _fault_of_zip(path)
    if not is_called_archive:
        return None
    if kind:
        return f"{path} is {kind.words}. {_sentence(kind.advice)}"
    return (
        f"{path} is not a zip archive, nor any other that is known here. "
        "Unpack it, or get it again."
    )


def _fault_of_zip(path: Path) -> str | None:
    try:
        open_zip(path).close()
    except UserError as e:
        return str(e)
    return None


def _sentence(advice: str) -> str:
    return f"{advice[0].upper()}{advice[1:]}."


def _no_data_set(data: Path, strangers: Sequence[Path]) -> str:
    """Word the fault that there are files in ``data``, and none is a data set."""
    lines = [f"{path.name}: {_words(path)}" for path in strangers]
    return (
        f"{data} holds no data set of yours, but other files:{NEXT_LINE}"
        f"{listed(lines, separator=NEXT_LINE)}\n"
        "Put a zip archive or a folder in Market-1501 layout next to them. "
        "To use the bundled sample, leave nothing but the sample there."
    )


def _words(path: Path) -> str:
    if path.is_dir():
        return "a hidden folder"
    if not path.is_file():
        return "neither a file nor a folder"
    kind: FileType | None = file_type(read_head(path))
    if kind and kind.group == "placeholder":
        return f"{kind.words}; {kind.advice}"
    if kind and kind.group == "zip":
        return "a zip archive without images in Market-1501 layout"
    return kind.words if kind else "a file of an unknown type"
