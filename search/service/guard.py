"""What is refused before a request reaches a route, and the headers of every answer."""

import asyncio
import ipaddress
import logging
import time
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.photos import MAX_BYTES
from search.service.metrics import Metrics
from search.service.rendering import refusal

logger = logging.getLogger(__name__)

MAX_PHOTOS = 20
"""The most photos in a request."""
MAX_BODY = MAX_PHOTOS * MAX_BYTES + 2**20
"""The largest body of a request, in bytes."""
BODY_SECONDS: float = 60
"""The longest time in which the body of a request must have arrived."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer", browsers would send forms of the page without their origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """The outermost layer of the service."""

    def __init__(self, app: ASGIApp, metrics: Metrics, only_local: bool) -> None:
        """Guard an application.

        Args:
            app: the application.
            metrics: where answers are counted.
            only_local: whether only the names of this machine are valid hosts. Without that, a
                web page could reach a service without keys by a name that leads to 127.0.0.1.
        """
        self._app, self._metrics, self._only_local = app, metrics, only_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status, has_begun = time.perf_counter(), 500, False
        body = Body(Headers(scope=scope), receive)

        async def send_with_headers(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not body.is_whole:
                    # The server would go on reading what nobody wants.
                    headers["Connection"] = "close"
            await send(message)

        try:
            self._require_own_host(body.headers)
            _require_same_site(scope["method"], body.headers)
            body.require_size()
            await self._app(scope, body.receive, send_with_headers)
        except HTTPException as e:
            if not has_begun:
                await self._refuse(scope, send_with_headers, e.status_code, e.detail)
        except Exception:
            logger.exception("a request failed")
            if not has_begun:
                reason = "The service has a fault; see its log."
                await self._refuse(scope, send_with_headers, 500, reason)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.observe(scope["method"], route, status, time.perf_counter() - begin)

    async def _refuse(self, scope: Scope, send: Send, status: int, reason: str) -> None:
        accept = Headers(scope=scope).get("accept", "")
        await refusal(accept, status, reason)(scope, _no_more, send)

    def _require_own_host(self, headers: Headers) -> None:
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        except ValueError:
            host = ""
        if self._only_local and not is_local(host):
            raise HTTPException(421, "This service answers only to the names of its own machine.")


async def _no_more() -> Message:
    return {"type": "http.disconnect"}


def is_local(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_same_site(method: str, headers: Headers) -> None:
    """Refuse what another web site makes a browser send."""
    if method in SAFE_METHODS:
        return
    origin = headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != headers.get("host")
    if is_foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPException(403, "Requests from other web sites are refused.")


class Body:
    """The body of a request, which may be so large and take so long."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        """Begin to wait for it."""
        self.headers = headers
        self.is_whole = "transfer-encoding" not in headers and self._length() == 0
        self._receive = receive
        self._deadline = time.monotonic() + BODY_SECONDS
        self._size = 0

    def _length(self) -> int:
        length = self.headers.get("content-length", "0")
        return int(length) if length.isdigit() else MAX_BODY + 1

    def require_size(self) -> None:
        """Refuse a body that says it is too large.

        Raises:
            HTTPException: 413.
        """
        if "transfer-encoding" not in self.headers and self._length() > MAX_BODY:
            raise HTTPException(413, _TOO_LARGE)

    async def receive(self) -> Message:
        """Receive the next part.

        Raises:
            HTTPException: 413, it is too large; 408, it takes too long.
        """
        if self.is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError as e:
            raise HTTPException(408, "The request took too long to arrive.") from e
        self._size += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self._size > MAX_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message


_TOO_LARGE = f"The request is larger than {MAX_BODY // 2**20} MB."
