"""What every route needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, HTTPException, Request

from search.service.audit import Audit
from search.service.keys import Caller, Keys
from search.service.metrics import Metrics
from search.service.queue import Queue
from search.tool import SearchTool

COOKIE = "reid_key"
"""The cookie with the key, percent-encoded."""
BEARER = "bearer "


@dataclass(frozen=True)
class Context:
    """The parts of a running service."""

    tool: SearchTool
    keys: Keys
    audit: Audit
    metrics: Metrics
    queue: Queue
    dataset: Path
    """The pipeline's data set, which need not exist."""


def context_of(request: Request) -> Context:
    """Return the parts of the service."""
    return request.app.state.context


Parts = Annotated[Context, Depends(context_of)]


def known_caller(request: Request, parts: Parts) -> Caller | None:
    """Return who calls, by a header ``Authorization: Bearer KEY`` or the page's cookie."""
    header = request.headers.get("authorization", "")
    is_bearer = header.lower().startswith(BEARER)
    cookie = unquote(request.cookies.get(COOKIE, ""))
    return parts.keys.caller(header[len(BEARER) :].strip() if is_bearer else cookie)


def reader(caller: Annotated[Caller | None, Depends(known_caller)]) -> Caller:
    """Return who calls.

    Raises:
        HTTPException: 401, the call has no valid key.
    """
    if caller is None:
        raise HTTPException(
            401, "Give a key: Authorization: Bearer KEY.", {"WWW-Authenticate": "Bearer"}
        )
    return caller


def writer(caller: Annotated[Caller, Depends(reader)]) -> Caller:
    """Return who calls.

    Raises:
        HTTPException: 401, the call has no valid key; 403, the key is read-only.
    """
    if not caller.may_write:
        raise HTTPException(403, "This key may search, but not change the index.")
    return caller


Reader = Annotated[Caller, Depends(reader)]
Writer = Annotated[Caller, Depends(writer)]
