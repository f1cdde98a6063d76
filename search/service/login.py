"""The page that asks for a key, and keeps it in a cookie that no script can read."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from search.service.context import COOKIE, Parts
from search.service.rendering import LOGIN, login_page

router = APIRouter()


@router.get(LOGIN)
def ask(parts: Parts) -> Response:
    """Show the form."""
    return login_page() if parts.keys.are_required else RedirectResponse("/", 303)


@router.post(LOGIN)
def login(request: Request, parts: Parts, key: Annotated[str, Form()] = "") -> Response:
    """Keep a valid key in the cookie."""
    secret = key.strip()
    if parts.keys.caller(secret) is None:
        return login_page(401, "This is not a valid key.")
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        quote(secret, safe=""),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def logout(parts: Parts) -> Response:
    """Forget the key."""
    response = RedirectResponse(LOGIN if parts.keys.are_required else "/", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
