"""What DVC complains of, for whoever can mend it."""

from collections.abc import Iterator
from contextlib import contextmanager

from dvc.exceptions import DvcException

from reid.common.errors import UserError, first_line


@contextmanager
def explained() -> Iterator[None]:
    """Turn what DVC raises in the block, as at merge marks in one of its files, to a UserError."""
    try:
        yield
    except DvcException as e:
        raise UserError(
            f"DVC can't work with this project: {first_line(e)}. `dvc status` may say more."
        ) from e
