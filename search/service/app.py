"""The application."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from reid.common.errors import UserError
from reid.data import paths
from search.photos import limit_pixels
from search.service import api, login, page, people_page
from search.service.audit import FILE, Audit
from search.service.context import Context
from search.service.guard import Guard
from search.service.keys import Keys
from search.service.metrics import Metrics
from search.service.queue import Queue
from search.service.rendering import HTML, refusal
from search.tool import SearchTool

STATIC = Path(__file__).with_name("static")


def make_app(
    tool: SearchTool, keys: Keys, only_local: bool, dataset: Path = paths.DATASET
) -> ASGIApp:
    """Make the application.

    Args:
        tool: the index and its networks.
        keys: who may use it.
        only_local: whether it answers only to the names of this machine.
        dataset: the pipeline's data set, whose queries the page offers if it exists.
    """
    limit_pixels()
    metrics = Metrics(tool.index)
    app = FastAPI(
        title="Person search",
        description="Find people by photos in an index that grows and forgets.",
        # These pages would load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    audit = Audit(tool.folder / FILE)
    app.state.context = Context(tool, keys, audit, metrics, Queue(metrics), dataset)
    _say_what_is_wrong(app)
    app.include_router(api.router)
    for pages in (page.router, people_page.router, login.router):
        app.include_router(pages, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return Guard(app, metrics, only_local)


def _say_what_is_wrong(app: FastAPI) -> None:
    """Answer errors as a page to browsers, and as JSON to programs."""

    @app.exception_handler(UserError)
    async def say_what_to_do(request: Request, error: UserError) -> Response:
        return refusal(request.headers.get("accept", ""), 400, str(error))

    @app.exception_handler(HTTPException)
    async def say_what_is_refused(request: Request, error: HTTPException) -> Response:
        accept = request.headers.get("accept", "")
        return refusal(accept, error.status_code, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def say_which_field(request: Request, error: RequestValidationError) -> Response:
        accept = request.headers.get("accept", "")
        if HTML not in accept:
            return await request_validation_exception_handler(request, error)
        fields = ", ".join(dict.fromkeys(str(fault["loc"][-1]) for fault in error.errors()))
        return refusal(accept, 422, f"This can't be understood: {fields}. Go back and correct it.")
