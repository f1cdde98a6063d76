"""The service in a process of its own, with short limits.

``python -m tests.support.search_service FOLDER [SECONDS]`` serves the index of a folder on a free
port. The body of a request must arrive in so many seconds.
"""

import sys
from pathlib import Path

from search.index import open_index
from search.service import guard
from search.service.server import run
from search.tool import SearchTool


def main() -> None:
    """Serve until SIGTERM."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        guard.BODY_SECONDS = float(sys.argv[2])
    run(SearchTool(open_index("", folder), folder), "127.0.0.1", 0)


if __name__ == "__main__":
    main()
