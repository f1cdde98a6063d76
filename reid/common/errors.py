"""What a user of the pipeline can cause and mend, and words to say it."""

import re
from collections.abc import Sequence

CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
"""The user and the password of a URL."""


class UserError(Exception):
    """Input that can't be used: the message says what, where and what to do.

    Command-line programs and stages print the message alone, without a traceback, and end with
    exit status 1.
    """


def first_line(error: BaseException) -> str:
    """What an error of a library says in its first line, or its name where it says nothing.

    Libraries repeat URLs; passwords in them are left out.
    """
    return without_credentials(str(error).partition("\n")[0]) or type(error).__name__


def without_credentials(text: str) -> str:
    """A text whose URLs name no user and no password."""
    return CREDENTIALS.sub("", text)


def listed(words: Sequence[str], limit: int = 20) -> str:
    """The first words, and how many there are beyond them."""
    more = [f"and {len(words) - limit} more"] if len(words) > limit else []
    return ", ".join([*words[:limit], *more])
