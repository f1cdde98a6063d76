"""The page that searches.

It works without scripts: one form, whose answer is the whole page. The script of the page sends the
same form to another address, which answers with the part of the page that changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from starlette.responses import Response

from reid.common.errors import UserError
from search.people import Answer
from search.records import Model
from search.service import actions, verdicts
from search.service.context import Context, Parts, Reader, writer
from search.service.example_queries import example_queries
from search.service.forms import known_model
from search.service.keys import Caller
from search.service.query import PageForm, Query, encoded, kind_of, read_query
from search.service.rendering import page
from search.service.words import sentence

router = APIRouter()

RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""The shares of false alarms that can be chosen."""
WHOLE, PART = "search.html", "answer.html"
MOST_PEOPLE = 40
"""The end of the slider."""
SUGGESTIONS = 1_000
"""The names that are suggested for the filter by person."""

Files = Annotated[list[UploadFile], File(default_factory=list)]
PageFields = Annotated[PageForm, Form()]


@dataclass(frozen=True)
class Column:
    """The answer of one model."""

    model: Model
    answer: Answer
    elsewhere: Mapping[str, int] | None = None
    """The place of each person in the other answer, from 1 on. None if there is no other."""


@dataclass(frozen=True)
class Outcome:
    """What a form led to."""

    query: Query
    columns: Sequence[Column] = ()
    status: int = 200
    problem: str = ""
    """Why there is no answer. Empty if there is one, or nothing to search for."""
    notice: str = ""
    """What was done besides searching."""
    given: Sequence[str] = ()
    """The words on this answer so far."""
    retry: str | None = None
    """The seconds after which to try again."""


@router.get("/")
def begin(parts: Parts, caller: Reader) -> Response:
    """Show the page before a search."""
    return _page(WHOLE, parts, caller, PageForm.model_validate({}), Outcome(Query([])))


@router.post("/")
async def whole_page(
    parts: Parts, caller: Reader, form: PageFields, photos: Files, more: Files
) -> Response:
    """Search, and show the page."""
    return _page(WHOLE, parts, caller, form, await _search(parts, caller, form, photos, more))


@router.post("/answer")
async def part_of_page(
    parts: Parts, caller: Reader, form: PageFields, photos: Files, more: Files
) -> Response:
    """Search, and show the part of the page that a search changes."""
    return _page(PART, parts, caller, form, await _search(parts, caller, form, photos, more))


@router.get("/samples/{number}")
def sample(parts: Parts, _: Reader, number: int) -> Response:
    """Return a query photo of the data set."""
    for one in example_queries(parts.dataset):
        if one.number == number:
            return Response(one.content, media_type=kind_of(one.content))
    raise HTTPException(404, "The data set has no such photo.")


async def _search(
    parts: Context,
    caller: Caller,
    form: PageForm,
    photos: Sequence[UploadFile],
    more: Sequence[UploadFile],
) -> Outcome:
    """Do what a form asks for. What is wrong with it becomes a sentence on the page."""
    query = Query([])
    try:
        query = await read_query(parts, form, photos, more)
        if query.faults:
            return Outcome(query, status=400, problem=" ".join(query.faults))
        if not query.photos:
            return Outcome(query, status=200 if query.is_new else 400, problem=_no_photo(query))
        given, notice = await _judged(parts, caller, form, query)
        columns = await _columns(parts, caller, form, query)
        return Outcome(query, columns, given=given, notice=notice)
    except HTTPException as e:
        retry = (e.headers or {}).get("Retry-After")
        return Outcome(query, status=e.status_code, problem=e.detail, retry=retry)
    except UserError as e:
        return Outcome(query, status=400, problem=sentence(str(e)))


def _no_photo(query: Query) -> str:
    """Return what to say without a photo. Somebody who removed the last one knows."""
    return "" if query.is_new else "Choose a photo of the person first."


async def _columns(
    parts: Context, caller: Caller, form: PageForm, query: Query
) -> Sequence[Column]:
    """Search with the model, and with the second one if there is one to compare."""
    models = [form.model_of(parts.tool)]
    if form.against and form.against != models[0].sha256:
        models.append(known_model(parts.tool, form.against))
    answers = await actions.search(parts, caller, query.photos, form, models)
    if len(models) == 1:
        return [Column(models[0], answers[0])]
    places = [_places(answer) for answer in answers]
    return [
        Column(model, answer, other)
        for model, answer, other in zip(models, answers, reversed(places), strict=True)
    ]


def _places(answer: Answer) -> dict[str, int]:
    """Return the place of each named person, from 1 on."""
    return {found.person: place for place, found in enumerate(answer.people, 1) if found.person}


async def _judged(
    parts: Context, caller: Caller, form: PageForm, query: Query
) -> tuple[Sequence[str], str]:
    """Keep the judgement in a form. Return all words on this answer, and what to say."""
    given = [] if query.is_new else form.judged
    if not form.verdict:
        return given, ""
    word = verdicts.parse(form.verdict)
    model = known_model(parts.tool, word.model)
    photo, similarity = word.photo, word.similarity
    await actions.judge(
        parts, writer(caller), query.photos, photo, similarity, word.is_right, model
    )
    return [*given, word.given()], "Your judgement was kept."


def _page(
    template: str, parts: Context, caller: Caller, form: PageForm, outcome: Outcome
) -> Response:
    """Render an outcome, as the whole page or as the part that changes."""
    values: dict[str, Any] = {}
    if template == WHOLE:
        people = parts.tool.index.people()
        values = {
            "models": parts.tool.index.models(),
            "size": parts.tool.index.size(),
            "people": people,
            "cameras": sorted({camera for person in people for camera in person.cameras}),
            "samples": example_queries(parts.dataset),
            "rates": RATES,
            "most": MOST_PEOPLE,
            "suggestions": SUGGESTIONS,
        }
    photos = [{"kind": kind_of(photo), "content": encoded(photo)} for photo in outcome.query.photos]
    response = page(
        template,
        parts,
        caller,
        outcome.status,
        form=form,
        outcome=outcome,
        photos=photos,
        words_given=verdicts.words_by_answer(outcome.given),
        answer_key=verdicts.answer_key,
        **values,
    )
    if outcome.retry is not None:
        response.headers["Retry-After"] = outcome.retry
    return response
