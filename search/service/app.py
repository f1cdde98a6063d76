"""The application."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from reid.common.errors import UserError
from search.photos import limit_pixels
from search.service import api
from search.service.audit import FILE, Audit
from search.service.context import Context
from search.service.guard import Guard
from search.service.keys import Keys
from search.service.metrics import Metrics
from search.service.queue import Queue
from search.tool import SearchTool


def make_app(tool: SearchTool, keys: Keys, only_local: bool) -> ASGIApp:
    """Make the application.

    Args:
        tool: the index and its networks.
        keys: who may use it.
        only_local: whether it answers only to the names of this machine.
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
    app.state.context = Context(tool, keys, Audit(tool.folder / FILE), metrics, Queue(metrics))

    @app.exception_handler(UserError)
    async def say_what_to_do(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    app.include_router(api.router)
    return Guard(app, metrics, only_local)
