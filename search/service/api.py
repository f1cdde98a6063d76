"""The HTTP API, described by ``/openapi.json``."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Form, HTTPException, Path, Response, UploadFile
from fastapi.responses import JSONResponse

from reid.common.errors import UserError
from search.enrolment import LONGEST_NAME
from search.records import Sighting
from search.service import actions
from search.service.answers import (
    AnswerOut,
    EnrolledOut,
    ForgottenOut,
    PersonOut,
    SightingOut,
    answer_json,
    person_out,
    sighting_out,
)
from search.service.context import Parts, Reader, Writer
from search.service.forms import Camera, PhotoId, SearchForm, read_photos
from search.service.query import kind_of

router = APIRouter()

Photos = Annotated[list[UploadFile], File(description="JPEG or PNG files of one person.")]
Name = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)]


@router.post("/search", tags=["search"], response_model=AnswerOut)
async def search(parts: Parts, caller: Reader, photos: Photos, form: SearchForm) -> Response:
    """Find the people who look most like the person on the photos."""
    contents = await read_photos(photos)
    model = form.model_of(parts.tool)
    (answer,) = await actions.search(parts, caller, contents, form, [model])
    return Response(answer_json(answer, model), media_type="application/json")


@router.get("/people", tags=["people"])
def people(parts: Parts, _: Reader) -> list[PersonOut]:
    """List the named people, by name."""
    return [person_out(person) for person in parts.tool.index.people()]


@router.get("/people/{name}", tags=["people"])
def sightings(parts: Parts, _: Reader, name: Name) -> list[SightingOut]:
    """List the photos of a person, by time."""
    found = parts.tool.index.sightings([name])
    if not found:
        raise actions.nobody()
    return [sighting_out(one) for one in sorted(found, key=Sighting.by_time)]


@router.post("/people/{name}/photos", tags=["people"], status_code=201)
async def enrol(
    parts: Parts,
    caller: Writer,
    name: Name,
    photos: Photos,
    camera: Annotated[Camera | None, Form()] = None,
    time: Annotated[datetime | None, Form()] = None,
) -> EnrolledOut:
    """Add photos of a person. When the answer comes, they survive a crash."""
    counts = await actions.enrol(parts, caller, name, await read_photos(photos), camera, time)
    return EnrolledOut(added=counts.added, known=counts.known)


@router.delete("/people/{name}", tags=["people"])
def forget(parts: Parts, caller: Writer, name: Name) -> ForgottenOut:
    """Delete a person: name, photos, embeddings, judgements."""
    return ForgottenOut(forgotten=actions.forget(parts, caller, name))


@router.get("/photos/{photo}", tags=["people"], response_class=Response)
def photo(parts: Parts, _: Reader, photo: PhotoId) -> Response:
    """Return a photo of the index."""
    found = parts.tool.index.photo(photo)
    if found is None:
        raise HTTPException(404, "The index has no such photo.")
    content = found[1]
    return Response(content, media_type=kind_of(content))


@router.post("/judgements", tags=["search"], status_code=201)
async def judge(
    parts: Parts,
    caller: Writer,
    photos: Photos,
    photo: Annotated[PhotoId, Form(description="The id of the photo that was found.")],
    similarity: Annotated[float, Form(ge=-1.001, le=1.001)],
    right: Annotated[bool, Form(description="Whether it shows the person searched for.")],
) -> Response:
    """Keep somebody's word on an answer."""
    await actions.judge(parts, caller, await read_photos(photos), photo, similarity, right)
    return Response(status_code=201)


@router.get("/healthz", tags=["service"])
def healthz() -> dict[str, str]:
    """Say that the process lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["service"], responses={503: {"description": "It can't search yet."}})
def readyz(parts: Parts) -> JSONResponse:
    """Say whether the service can search."""
    try:
        model = parts.tool.index.current_model()
        parts.tool.networks.load(model.sha256)
    except UserError as e:
        return JSONResponse({"detail": str(e)}, 503)
    return JSONResponse({"status": "ready", "model": model.sha256})


@router.get("/metrics", tags=["service"], response_class=Response)
def metrics(parts: Parts, _: Reader) -> Response:
    """Return the figures of the service for Prometheus."""
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4")
