"""Errors of DVC, reported to the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from dvc.exceptions import DvcException

from reid.common.errors import UserError, first_line


@contextmanager
def explained() -> Iterator[None]:
    """Turn DVC's errors in the block, as for conflict markers in its files, into a UserError."""
    try:
        yield
    except DvcException as e:
        raise UserError(
            f"DVC can't work with this project: {first_line(e)}. `dvc status` may say more."
        ) from e
