"""The terminal, which shows text from outside as it is."""

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Control characters, but not the line break. Terminals obey some of them."""
SHOWN = "\N{REPLACEMENT CHARACTER}"


class _Console(Console):
    """A console that shows `SHOWN` instead of the control characters of a text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            is_text = not segment.control
            yield segment._replace(text=CONTROL.sub(SHOWN, segment.text)) if is_text else segment


def console(**options: Any) -> Console:
    """Return a console for which no text has a meaning: ``[red]``, ``:smile:``, escape characters.

    File names, data sets, runs and errors bring any text. What is to be bold or red is a
    ``rich.text.Text`` with a style. ``options`` are those of ``Console``.
    """
    return _Console(markup=False, emoji=False, highlight=False, **options)
