"""What callers do, for the API and the page alike. Each of it writes its line of audit."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import HTTPException

from search.enrolment import Counts
from search.people import Answer
from search.records import Model
from search.service.context import Context
from search.service.forms import SearchOptions, seconds
from search.service.keys import Caller


async def search(
    parts: Context,
    caller: Caller,
    photos: Sequence[bytes],
    options: SearchOptions,
    models: Sequence[Model],
) -> list[Answer]:
    """Find the person who is on all of the photos, once with each of the models.

    Raises:
        HTTPException: 400, there is no photo; 503, the queue is full.
        UserError: a photo can't be read, or the index is empty.
    """
    _require(photos, "Give at least one photo.")
    tool, among = parts.tool, options.filter()
    answers = await parts.queue.run(
        lambda: [tool.search(photos, options.top, options.rate, among, model) for model in models]
    )
    for answer in answers:
        parts.audit.write(caller.name, "search", photos=len(photos), people=len(answer.people))
    return answers


async def enrol(
    parts: Context,
    caller: Caller,
    name: str,
    photos: Sequence[bytes],
    camera: int | None,
    time: datetime | None,
) -> Counts:
    """Add photos of a person. When this returns, they survive a crash.

    Raises:
        HTTPException: 400, there is no photo; 503, the queue is full.
        UserError: see `SearchTool.enrol`.
    """
    _require(photos, "Give at least one photo.")
    named = [(f"photo {number}", content) for number, content in enumerate(photos, 1)]
    counts = await parts.queue.run(lambda: parts.tool.enrol(name, named, camera, seconds(time)))
    parts.audit.write(caller.name, "enrol", photos=counts.added)
    return counts


def forget(parts: Context, caller: Caller, name: str) -> int:
    """Delete a person: name, photos, embeddings, judgements. Return the number of photos.

    Raises:
        HTTPException: 404, the index has nobody of this name.
    """
    count = parts.tool.index.forget(name)
    if not count:
        raise nobody()
    parts.audit.write(caller.name, "forget", photos=count)
    return count


async def judge(
    parts: Context,
    caller: Caller,
    photos: Sequence[bytes],
    photo: int,
    similarity: float,
    right: bool,
    model: Model | None = None,
) -> None:
    """Keep somebody's word on an answer, with the first of the photos that were searched for.

    Raises:
        HTTPException: 400, there is no photo; 404, the index does not have the photo found; 503,
            the queue is full.
    """
    _require(photos, "Give the photo that was searched for.")
    judged = parts.tool.judge
    if not await parts.queue.run(lambda: judged(photos[0], photo, similarity, right, model)):
        raise HTTPException(404, "The index has no such photo.")
    parts.audit.write(caller.name, "judge", photos=1)


def nobody() -> HTTPException:
    """Return the error for a name that the index does not have."""
    return HTTPException(404, "The index has nobody of this name.")


def _require(photos: Sequence[bytes], message: str) -> None:
    if not photos:
        raise HTTPException(400, message)
