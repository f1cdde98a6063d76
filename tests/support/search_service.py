"""The service in a process of its own, with short limits.

``python -m tests.support.search_service FOLDER [SECONDS]`` serves the index of a folder on a free
port. The body of a request must arrive in so many seconds. No package may be imported that is not
in requirements-search.lock.
"""

import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

PIPELINE_ONLY = ("dvc", "great_expectations", "keras", "mlflow", "scipy", "sklearn", "tensorflow")


class Missing(MetaPathFinder):
    """Finds no package that only the pipeline needs."""

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> None:
        """Raise for such a package."""
        if fullname.partition(".")[0] in PIPELINE_ONLY:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, Missing())

from search.index import open_index  # noqa: E402
from search.service import guard  # noqa: E402
from search.service.server import run  # noqa: E402
from search.tool import SearchTool  # noqa: E402


def main() -> None:
    """Serve until SIGTERM."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        guard.BODY_SECONDS = float(sys.argv[2])
    run(SearchTool(open_index("", folder), folder), "127.0.0.1", 0)


if __name__ == "__main__":
    main()
