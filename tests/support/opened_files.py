"""Files that are opened below a folder, by Python, C++ or a child process: Linux's inotify."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of <sys/inotify.h>.
IN_OPEN, IN_MOVED_TO, IN_CREATE = 0x20, 0x80, 0x100
IN_Q_OVERFLOW, IN_ISDIR = 0x4000, 0x40000000
EVENT = struct.Struct("iIII")
"""Of a watch, its kind, a cookie, and the length of the name that follows."""


@contextmanager
def opened_files(root: Path, *skipped: str) -> Iterator[set[Path]]:
    """Watch a folder for the length of the block; the set given is filled at its end.

    It holds the files, relative to ``root``, that were there before the block and were opened in
    it. What was written in the block itself is left out, and so are the listings of folders.

    Args:
        root: the folder, watched with all below it.
        skipped: names of folders that are not watched.

    Raises:
        OSError: the kernel refuses to watch, or had more to tell than it keeps.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    queue = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    opened: set[Path] = set()
    try:
        folders: dict[int, Path] = {}
        for folder, names, _ in os.walk(root):
            names[:] = [name for name in names if name not in skipped]
            kinds = IN_OPEN | IN_MOVED_TO | IN_CREATE
            watch = _checked(libc.inotify_add_watch(queue, os.fsencode(folder), kinds))
            folders[watch] = Path(folder)
        yield opened
        made: set[Path] = set()
        for watch, kind, name in _events(queue):
            if kind & IN_Q_OVERFLOW:
                raise OSError("more files were opened than inotify keeps in its queue")
            path = folders[watch].relative_to(root) / name
            if kind & IN_OPEN and not kind & IN_ISDIR and path not in made:
                opened.add(path)
            if kind & (IN_CREATE | IN_MOVED_TO):
                made.add(path)
    finally:
        os.close(queue)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify")
    return result


def _events(queue: int) -> Iterator[tuple[int, int, str]]:
    """All events so far: watch, kind and file name."""
    while True:
        try:
            block = os.read(queue, 1 << 16)
        except BlockingIOError:
            return
        start = 0
        while start < len(block):
            watch, kind, _, length = EVENT.unpack_from(block, start)
            start += EVENT.size + length
            yield watch, kind, os.fsdecode(block[start - length : start].rstrip(b"\0"))
