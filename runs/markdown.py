"""Text from outside within Markdown, as MLflow's pages show it."""

import re
from html import escape

SPECIAL = re.compile(r"[\\`*_\[\]|~#]")
"""The characters that Markdown and its tables give a meaning within a line."""


def code(text: object) -> str:
    """Return a text as code within a line, also in the cell of a table."""
    line = " ".join(str(text).split()).replace("|", r"\|")
    ticks = max((len(run) for run in re.findall("`+", line)), default=0)
    if not ticks:
        return f"`{line}`"
    fence = "`" * (ticks + 1)
    return f"{fence} {line} {fence}"


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return escape(SPECIAL.sub(r"\\\g<0>", " ".join(text.split())), quote=False)
