"""Errors that a user can correct, and the wording of messages."""

import re
from collections.abc import Sequence

CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")
"""The user and the password of a URL."""
NEXT_LINE = "\n  "
"""The separator of `listed` for a list that has a line for each word."""


class UserError(Exception):
    """Input that can't be used. The message says what is wrong, where, and what to do.

    Command-line programs and stages print only the message, no traceback, and exit with status 1.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if there is no message.

    Some libraries put URLs into their messages: user names and passwords are removed from them.
    """
    return without_credentials(str(error).partition("\n")[0]) or type(error).__name__


def without_credentials(text: str) -> str:
    """Remove user names and passwords from the URLs in a text."""
    return CREDENTIALS.sub("", text)


def listed(words: Sequence[str], limit: int = 10, separator: str = ", ") -> str:
    """Join the first words of a list and say how many more there are."""
    more = [f"and {len(words) - limit:,} more"] if len(words) > limit else []
    return separator.join([*words[:limit], *more])
