"""Run the service in one process.

One is enough for a machine: the networks use all processors. More machines share a Milvus server.
"""

import os
import socket

import uvicorn
from threadpoolctl import threadpool_limits

from reid.common.errors import UserError
from search.service.app import make_app
from search.service.guard import is_local
from search.service.keys import EXAMPLE, KEYS, parse_keys
from search.tool import SearchTool

MAX_HEADERS = 32 * 1024
"""The largest headers of a request, in bytes."""
KEEP_ALIVE = 20
"""Seconds after which a connection without requests is closed."""
FINISH = 30
"""Seconds in which requests that have begun may finish after SIGTERM."""


def run(tool: SearchTool, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that have begun are finished.

    Args:
        tool: the index and its networks.
        host: the address to listen on.
        port: the port; 0 takes a free one.

    Raises:
        UserError: the address needs keys and there are none, or it can't be listened on, or the
            index is empty.
    """
    keys = parse_keys(os.environ.get(KEYS, ""))
    if not keys.are_required and not is_local(host):
        raise UserError(
            f"{host} can be reached from other machines, and whoever reaches it sees photos of "
            f"people. Set keys first: {KEYS}={EXAMPLE}"
        )
    model = tool.index.current_model()
    tool.networks.load(model.sha256)
    tool.false_alarms(model.sha256)
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        print(  # noqa: T201
            f"Person search: http://{shown}:{listener.getsockname()[1]} (Ctrl-C stops it)",
            flush=True,
        )
        config = uvicorn.Config(
            make_app(tool, keys, only_local=not keys.are_required),
            # Addresses hold people's names; the audit says what was done.
            access_log=False,
            log_level="warning",
            server_header=False,
            h11_max_incomplete_event_size=MAX_HEADERS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=FINISH,
        )
        # Two searches at once use both cores better than one whose products wait for each other.
        with threadpool_limits(1, user_api="blas"):
            uvicorn.Server(config).run(sockets=[listener])
    tool.index.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only if the protocol is named; if not, a
    # client that acknowledges late makes each answer wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as e:
        listener.close()
        raise UserError(
            f"{host}:{port} can't be listened on ({e.strerror}). Choose another with --port."
        ) from e
    return listener
