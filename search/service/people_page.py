"""The pages on people: the list, all sightings of one, adding and forgetting."""

import re
from datetime import datetime
from math import ceil
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, HTTPException, Query, UploadFile
from starlette.responses import RedirectResponse, Response

from reid.common.errors import UserError
from search.records import Sighting
from search.service import actions
from search.service.context import Context, Parts, Reader, Writer
from search.service.forms import Camera, read_photos
from search.service.rendering import page
from search.service.words import sentence

router = APIRouter()

AT_ONCE = 48
"""The people on a page."""

Order = Literal["time", "added"]

_NOTHING_YET: dict[str, Any] = {"counts": None, "problem": ""}


@router.get("/person")
def people(
    parts: Parts,
    caller: Reader,
    q: str = "",
    number: Annotated[int, Query(ge=1, alias="page")] = 1,
    forgotten: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """List the people whose names contain some letters."""
    everybody = sorted(parts.tool.index.people(), key=lambda person: _natural(person.name))
    wanted = q.strip().casefold()
    found = [person for person in everybody if wanted in person.name.casefold()]
    shown = found[AT_ONCE * (number - 1) : AT_ONCE * number]
    first: dict[str, Sighting] = {}
    for sighting in parts.tool.index.sightings([person.name for person in shown]):
        first.setdefault(str(sighting.person), sighting)
    return page(
        "people.html",
        parts,
        caller,
        everybody=len(everybody),
        found=len(found),
        shown=[(person, first[person.name]) for person in shown if person.name in first],
        q=q,
        number=number,
        pages=max(1, ceil(len(found) / AT_ONCE)),
        forgotten=forgotten,
    )


@router.get("/person/{name}")
def person(parts: Parts, caller: Reader, name: str, order: Order = "time") -> Response:
    """Show all photos of a person."""
    sightings = _sightings(parts, name)
    if order == "time":
        sightings = sorted(sightings, key=Sighting.by_time)
    return page("person.html", parts, caller, name=name, sightings=sightings, order=order)


@router.get("/person/{name}/forget")
def confirm(parts: Parts, caller: Writer, name: str) -> Response:
    """Ask before a person is deleted."""
    return page("forget.html", parts, caller, name=name, sightings=_sightings(parts, name))


@router.post("/person/{name}/forget")
def forget(parts: Parts, caller: Writer, name: str) -> Response:
    """Delete a person."""
    return RedirectResponse(f"/person?forgotten={actions.forget(parts, caller, name)}", 303)


@router.get("/enrol")
def begin_enrolment(parts: Parts, caller: Writer, name: str = "") -> Response:
    """Show the form that adds photos."""
    return page("enrol.html", parts, caller, name=name, camera=None, time=None, **_NOTHING_YET)


@router.post("/enrol")
async def enrol(
    parts: Parts,
    caller: Writer,
    photos: Annotated[list[UploadFile], File(default_factory=list)],
    name: Annotated[str, Form()] = "",
    camera: Annotated[Camera | None, Form()] = None,
    time: Annotated[datetime | None, Form()] = None,
) -> Response:
    """Add photos of a person."""
    name = name.strip()
    values = {"name": name, "camera": camera, "time": time}
    try:
        contents = await read_photos(photos)
        counts = await actions.enrol(parts, caller, name, contents, camera, time)
    except HTTPException as e:
        status, problem, headers = e.status_code, e.detail, e.headers
    except UserError as e:
        status, problem, headers = 400, sentence(str(e)), None
    else:
        return page("enrol.html", parts, caller, 201, **values, counts=counts, problem="")
    response = page("enrol.html", parts, caller, status, **values, counts=None, problem=problem)
    response.headers.update(headers or {})
    return response


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``person 9`` before ``person 10``."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part.casefold())
        for part in re.split(r"(\d{1,18})", name)
    ]


def _sightings(parts: Context, name: str) -> list[Sighting]:
    """Return all photos of a person, in the order in which they were added.

    Raises:
        HTTPException: 404, the index has nobody of this name.
    """
    sightings = parts.tool.index.sightings([name])
    if not sightings:
        raise actions.nobody()
    return sightings
