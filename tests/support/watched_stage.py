"""Run a stage's module and write down which files it opens and which parameters it reads.

``python -m tests.support.watched_stage REPORT MODULE ARGUMENT...`` takes the place of
``python -m MODULE ARGUMENT...`` in the project's folder. If it starts cold, it first imports the
libraries that other stages find imported, so that what these open is seen, too.
"""

import importlib
import json
import os
import runpy
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import dvc.api

from tests.support.imports import OBSERVERS
from tests.support.opened_files import opened_files

FOLDERS_OF_LIBRARIES = (f"{sys.prefix}/lib/", f"{sys.base_prefix}/lib/")
"""Where Python opens thousands of files when a stage starts."""
DESCRIPTION = {"dvc.yaml", "dvc.lock", "params.yaml"}
"""Of the pipeline: files that DVC reads to give a stage its parameters, and nothing else may."""
PARAMS_SHOW = dvc.api.params_show.__code__
SYSTEM = [
    *(Path(place).resolve() for place in ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib")),
    *(Path(place).resolve() for place in sysconfig.get_paths().values()),
    Path(sys.base_prefix),
    Path(sys.prefix),
    Path(tempfile.gettempdir()).resolve(),
    Path(__file__).resolve().parents[2],
]
"""Folders outside a project that Python, its libraries and this watch itself live in."""


@dataclass
class Seen:
    """What a stage did."""

    files: set[str] = field(default_factory=set)
    """Opened in the project, relative to it. Compiled code counts as its source."""
    outside: set[str] = field(default_factory=set)
    """Opened by Python code neither in the project nor in the system's folders."""
    description: set[str] = field(default_factory=set)
    """Of the pipeline, opened by others than DVC's look for parameters and the observers."""
    params: set[str] = field(default_factory=set)
    """Dotted names of the parameters whose value was taken."""

    def write(self, report: Path) -> None:
        """Write all that was seen, as JSON."""
        values = {name: sorted(seen) for name, seen in asdict(self).items()}
        report.write_text(json.dumps(values, indent=2))

    @classmethod
    def read(cls, report: Path) -> "Seen":
        """What ``write`` wrote."""
        return cls(**{name: set(seen) for name, seen in json.loads(report.read_text()).items()})


class RecordedParams(Mapping[str, Any]):
    """Parameters that note which of their values are taken."""

    def __init__(self, values: Mapping[str, Any], seen: set[str], prefix: str = "") -> None:
        self.unrecorded = values
        self._seen, self._prefix = seen, prefix

    def __getitem__(self, key: str) -> Any:
        value, name = self.unrecorded[key], f"{self._prefix}{key}"
        if isinstance(value, Mapping):
            return RecordedParams(value, self._seen, f"{name}.")
        self._seen.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.unrecorded)

    def __len__(self) -> int:
        return len(self.unrecorded)


def record_params(seen: set[str]) -> None:
    """Note what is taken of the parameters that are given, and of settings made from them."""
    import runs.declarations  # noqa: PLC0415
    import stages._stage  # noqa: PLC0415
    from reid.common.settings import Settings  # noqa: PLC0415

    def recorded_by(give: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: RecordedParams(give(*args, **kwargs), seen)

    dvc.api.params_show = recorded_by(dvc.api.params_show)
    runs.declarations.declared_params = recorded_by(runs.declarations.declared_params)
    stages._stage.declared_params = runs.declarations.declared_params

    prefixes: dict[int, str] = {}
    kept: list[Settings] = []  # An object that is gone may leave its id to another.

    def recorded(self: Settings, name: str) -> Any:
        value = object.__getattribute__(self, name)
        prefix = prefixes.get(id(self))
        if prefix is None or name not in (fields := type(self).model_fields):
            return value
        key = f"{prefix}{fields[name].alias or name}"
        if isinstance(value, Settings):
            prefixes[id(value)] = f"{key}."
        else:
            seen.add(key)
        return value

    checked: Callable[..., Settings] = stages._stage.checked

    def checked_and_recorded(kind: type[Settings], values: RecordedParams, origin: str) -> Settings:
        settings = checked(kind, values.unrecorded, origin)
        kept.append(settings)
        prefixes[id(settings)] = ""
        return settings

    Settings.__getattribute__ = recorded  # type: ignore[method-assign,assignment]
    stages._stage.checked = checked_and_recorded  # type: ignore[assignment]


def record_python(seen: Seen, root: Path) -> None:
    """Note what Python code opens outside the project, and of the pipeline's description."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        name = os.fsdecode(arguments[0])
        if name.startswith(FOLDERS_OF_LIBRARIES):
            return
        path = (root / name).resolve()
        if path.is_relative_to(root):
            name = str(path.relative_to(root))
            if name in DESCRIPTION and not _asks(_gives_params, _is_observer):
                seen.description.add(name)
        elif not any(path.is_relative_to(place) for place in SYSTEM) and not _asks(_is_dvc):
            seen.outside.add(str(path))

    sys.addaudithook(hook)


def _asks(*kinds: Callable[[FrameType], bool]) -> bool:
    """Whether code of one of these kinds is what asks, itself or through others."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if any(is_kind(frame) for is_kind in kinds):
            return True
        frame = frame.f_back
    return False


def _is_dvc(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in ("dvc", "scmrepo")


def _gives_params(frame: FrameType) -> bool:
    """Whether it is DVC where it looks up parameters, whose values are recorded."""
    return frame.f_code is PARAMS_SHOW


def _is_observer(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] == OBSERVERS


def _source(path: Path) -> str:
    if path.parent.name == "__pycache__":
        return str(path.parent.parent / f"{path.name.partition('.')[0]}.py")
    return str(path)


def import_libraries() -> None:
    """Import what the warm server imports, with its settings."""
    from tests.support.warm_server import LIBRARIES  # noqa: PLC0415

    for name in LIBRARIES:
        importlib.import_module(name)


def main() -> None:
    """Run the module named on the command line, then write the report."""
    report, module = Path(sys.argv[1]), sys.argv[2]
    root = Path.cwd()
    seen = Seen()
    record_python(seen, root)
    sys.argv = sys.argv[2:]
    with opened_files(root, ".git", ".dvc") as opened:
        if "START_COLD" in os.environ:
            import_libraries()
        record_params(seen.params)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    seen.files = {_source(path) for path in opened}
    seen.write(report)


if __name__ == "__main__":
    main()
