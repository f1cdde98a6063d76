"""What a user of the pipeline can cause and mend, and words to say it."""

from collections.abc import Sequence


class UserError(Exception):
    """Input that can't be used: the message says what, where and what to do.

    Command-line programs and stages print the message alone, without a traceback, and end with
    exit status 1.
    """


def first_line(error: BaseException) -> str:
    """What an error of a library says in its first line, or its name where it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


def listed(words: Sequence[str], limit: int = 20) -> str:
    """The first words, and how many there are beyond them."""
    more = [f"and {len(words) - limit} more"] if len(words) > limit else []
    return ", ".join([*words[:limit], *more])
