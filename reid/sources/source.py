"""Find photos in Market-1501 layout, in a folder or in zip archives that stay packed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from reid.common.errors import NEXT_LINE, UserError, listed
from reid.data.market import GALLERY_FOLDERS, NAME_EXAMPLE, QUERY_FOLDER, SAMPLE_NAME, TRAIN_FOLDER
from reid.sources.choice import ARCHIVE, choose, count_strangers
from reid.sources.files import Files, FolderFiles, JoinedFiles, ZipFiles, behind_links
from reid.sources.layout import (
    LAYOUT_FOLDERS,
    expected_folder,
    is_image,
    is_layout_image,
    may_be_photo,
    require_usable_names,
    unread_ending,
)
from reid.sources.parts import are_cloud_parts, belong_together, missing_parts, part_numbers
from reid.sources.zip_archive import open_zip

NEXT_TO_IT = ".."
"""The folder of strangers that lie next to the data set, in ``data/``."""


@dataclass(frozen=True)
class Source:
    """A data set in Market-1501 layout that was found and not yet read."""

    name: str
    """The name of the folder around the layout's folders, or of the archive if there is none."""
    files: Files
    folders: dict[str, list[PurePosixPath]]
    """The images of each folder of the layout, sorted by name. A missing folder has no entry."""
    strangers: dict[str, int]
    """The number of ignored files by folder: files that are not images of the layout."""
    other_formats: dict[str, dict[str, int]]
    """For each folder of the layout, the number of images that are not JPEG or PNG by ending."""
    archives: tuple[str, ...] = ()
    """The names of the archives that were joined, if there are several."""
    behind_links: str = ""
    """See `reid.sources.files.behind_links`."""


@dataclass(frozen=True)
class _Sorted:
    """The paths of all files, sorted by what they are to the layout."""

    by_root: dict[PurePosixPath, dict[str, list[PurePosixPath]]]
    """The images of each folder of the layout, for each folder around such folders."""
    other_formats: dict[str, dict[str, int]]
    strangers: list[PurePosixPath]


def _sort(paths: Sequence[PurePosixPath]) -> _Sorted:
    by_root: dict[PurePosixPath, dict[str, list[PurePosixPath]]] = {}
    others: dict[str, Counter[str]] = defaultdict(Counter)
    strangers = []
    for path in sorted(paths):
        if is_layout_image(path):
            folders = by_root.setdefault(path.parent.parent, {})
            folders.setdefault(path.parent.name, []).append(path)
        elif ending := unread_ending(path):
            others[path.parent.name][ending] += 1
        else:
            strangers.append(path)
    counted = {folder: dict(sorted(counts.items())) for folder, counts in sorted(others.items())}
    return _Sorted(by_root, counted, strangers)


def _arrange(name: str, origin: str, files: Files) -> Source:
    """Sort the files by the layout's folders.

    Args:
        name: the data set's name if no folder is around the layout's folders.
        origin: where the files are, for messages.
        files: the files.

    Raises:
        UserError: no image is in the layout, or several data sets are, or folders have wrong names.
    """
    paths = files.paths()
    require_usable_names(origin, map(str, paths))
    found = _sort(paths)
    if len(found.by_root) > 1:
        raise UserError(_several_roots(origin, found))
    _refuse_near_misses(origin, found)
    if not found.by_root:
        raise UserError(_no_image(origin, found))
    ((root, folders),) = found.by_root.items()
    _require_subsets(origin, folders, found)
    strangers = Counter(str(path.parent) for path in found.strangers)
    return Source(
        root.name or name,
        files,
        dict(sorted(folders.items())),
        dict(sorted(strangers.items())),
        found.other_formats,
    )


def _several_roots(origin: str, found: _Sorted) -> str:
    """Word the fault that folders of the layout are not next to each other."""
    places = sorted(str(root / name) for root, folders in found.by_root.items() for name in folders)
    names = [name for folders in found.by_root.values() for name in folders]
    if len(set(names)) == len(names):
        return (
            f"{origin} holds folders of the Market-1501 layout in different places: "
            f"{listed(places)}. Move them into one folder."
        )
    return (
        f"{origin} holds several data sets: {listed(sorted(map(str, found.by_root)))}. "
        "Keep one and move the others elsewhere."
    )


def _refuse_near_misses(origin: str, found: _Sorted) -> None:
    """Raise UserError if images lie near a folder of the layout that has none.

    Their folder may have nearly the right name, or be in the right folder instead of its images.
    """
    moves: dict[PurePosixPath, PurePosixPath] = {}
    for path in filter(is_image, found.strangers):
        folder = path.parent
        expected = expected_folder(folder.name)
        right = folder.with_name(expected) if expected else folder.parent
        is_missing = right.name not in found.by_root.get(right.parent, {})
        is_beside = not found.by_root or right.parent in found.by_root
        if right.name in LAYOUT_FOLDERS and is_missing and is_beside:
            moves[folder] = right
    if moves:
        names = [f"from {folder}/ to {right}/" for folder, right in moves.items()]
        raise UserError(
            f"{origin} holds images in folders that the Market-1501 layout doesn't have. "
            f"Move them:{NEXT_LINE}{listed(names, separator=NEXT_LINE)}"
        )


def _require_subsets(origin: str, folders: Collection[str], found: _Sorted) -> None:
    """Raise UserError if a folder of the layout has no image, and images lie elsewhere.

    If there are no images elsewhere, the validation reports the missing folder.
    """
    elsewhere = _images_elsewhere(found)
    missing = [folder for folder in (TRAIN_FOLDER, QUERY_FOLDER) if folder not in folders]
    if not any(folder in folders for folder in GALLERY_FOLDERS):
        missing.append(GALLERY_FOLDERS[0])
    if missing and elsewhere:
        raise UserError(
            f"{origin} holds no image in {' and '.join(missing)}, but images in other folders: "
            f"{elsewhere}. Move them into {TRAIN_FOLDER}/, {QUERY_FOLDER}/ and "
            f"{GALLERY_FOLDERS[0]}/."
        )


def _images_elsewhere(found: _Sorted) -> str:
    """List the folders that hold images and are not in the layout, with the numbers of images."""
    images = Counter(str(path.parent) for path in found.strangers if is_image(path))
    return listed([f"{folder} ({count:,})" for folder, count in images.most_common()])


def _no_image(origin: str, found: _Sorted) -> str:
    """Word the fault that no image lies in a folder of the layout."""
    text = (
        f"{origin} holds no image in Market-1501 layout. Expected {TRAIN_FOLDER}/, "
        f"{QUERY_FOLDER}/ and {GALLERY_FOLDERS[0]}/ with names like {NAME_EXAMPLE}."
    )
    archives = [
        str(path)
        for path in found.strangers
        if ARCHIVE.search(path.name) and path.stem != SAMPLE_NAME
    ]
    elsewhere = _images_elsewhere(found)
    if elsewhere:
        text += f" It holds images in other folders: {elsewhere}."
    elif archives:
        text += (
            f" It holds other archives: {listed(archives)}. "
            "Unpack it once, and put what was in it into data/."
        )
    elif found.other_formats:
        totals: Counter[str] = Counter()
        for counts in found.other_formats.values():
            totals.update(counts)
        formats = [f"{count:,} {suffix}" for suffix, count in totals.most_common()]
        text += (
            f" It holds images that are not read: {listed(formats)}. "
            "Save them as JPEG or PNG, with the ending .jpg or .png."
        )
    return text


def _without_other_folders(chosen: list[Path]) -> list[Path]:
    """Leave out the folders that hold files and no photo: notes, lists or code, for example."""

    def is_data_set(path: Path) -> bool:
        files = FolderFiles(path).paths() if path.is_dir() else []
        return not files or any(may_be_photo(file) or ARCHIVE.search(file.name) for file in files)

    return [path for path in chosen if is_data_set(path)] or chosen


def _require_parts(data: Path, chosen: Sequence[Path], zips: Sequence[ZipFiles]) -> None:
    """Raise UserError unless the archives are one, or all parts of one data set."""
    names = [path.name for path in chosen]
    is_whole = are_cloud_parts(names) or belong_together([z.paths() for z in zips])
    if len(chosen) > 1 and not is_whole:
        if not all(any(map(is_layout_image, z.paths())) for z in zips):
            # Raises if the archives' folders have other names than the layout's.
            _arrange(data.name, f"{data} ({listed(names)})", JoinedFiles(zips))
        raise UserError(_several(data, chosen))
    missing = missing_parts(part_numbers(names) or [])
    if missing:
        raise UserError(
            f"{listed(names)}: these are parts of one data set, and part "
            f"{listed([str(number) for number in missing])} is missing in {data}. Get all parts."
        )


def _several(data: Path, chosen: Sequence[Path]) -> str:
    return (
        f"{data} holds several data sets: {listed([path.name for path in chosen])}. "
        "Keep one and move the others elsewhere."
    )


@contextmanager
def open_source(data: Path) -> Iterator[Source]:
    """Find the data set in ``data`` and open it.

    ``data`` is a folder in Market-1501 layout, a zip archive of such a folder, or a folder that
    holds one of these. Several archives are read together if they are parts of one data set. If
    ``data`` holds another data set, the bundled sample is ignored.

    Raises:
        UserError: there is no data set, there are several, or an archive can't be read.
    """
    chosen = choose(data)
    if len(chosen) > 1:
        chosen = _without_other_folders(chosen)
    with ExitStack() as stack:
        if any(path.is_dir() for path in chosen):
            if len(chosen) > 1:
                if all(path.is_dir() for path in chosen):
                    # Raises if no folder, or several, hold a data set: folders of people, perhaps.
                    _arrange(data.name, str(data), FolderFiles(data))
                raise UserError(_several(data, chosen))
            source = _arrange(chosen[0].name, str(chosen[0]), FolderFiles(chosen[0]))
        else:
            zips = [ZipFiles(stack.enter_context(open_zip(path))) for path in chosen]
            files = JoinedFiles(zips)
            _require_parts(data, chosen, zips)
            if len(zips) == 1:
                source = _arrange(chosen[0].stem, str(chosen[0]), zips[0])
            else:
                names = [path.name for path in chosen]
                source = _arrange(data.name, f"{data} ({listed(names)})", files)
                source = replace(source, archives=tuple(names))
        beside = count_strangers(data, chosen)
        if beside:
            source = replace(source, strangers={NEXT_TO_IT: beside} | source.strangers)
        yield replace(source, behind_links=behind_links(data))
