"""Pages from templates, and errors as a page or as JSON."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from search.service import words
from search.service.context import Context
from search.service.keys import Caller

HTML = "text/html"
LOGIN = "/login"

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["words"] = words
_templates.filters["segment"] = lambda name: quote(name, safe="")


def page(
    template: str, parts: Context, caller: Caller, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a page for somebody who may use the service.

    Args:
        template: the file of the template.
        parts: the parts of the service.
        caller: who sees the page.
        status: the HTTP status.
        **values: what the template shows.
    """
    return _rendered(template, status, caller=caller, has_keys=parts.keys.are_required, **values)


def login_page(status: int = 200, message: str = "") -> HTMLResponse:
    """Render the page that asks for a key."""
    return _rendered("login.html", status, caller=None, has_keys=True, message=message)


def _rendered(template: str, status: int, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(**values), status)


def refusal(
    accept: str, status: int, reason: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error: as a page to a browser, as JSON to a program.

    Args:
        accept: the request's header of this name.
        status: the HTTP status. A browser without a valid key is led to the login.
        reason: what is wrong.
        headers: further headers.
    """
    if HTML not in accept:
        return JSONResponse({"detail": reason}, status, headers)
    if status == HTTPStatus.UNAUTHORIZED:
        return RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
    message = words.sentence(reason)
    response = _rendered("error.html", status, caller=None, has_keys=False, message=message)
    response.headers.update(headers or {})
    return response
