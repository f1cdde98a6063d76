"""Why a tracking store or its artifacts can't be used, in few words."""

from socket import gaierror

from reid.common.errors import first_line

NETWORK = (ConnectionError, TimeoutError, gaierror)


def complaint(error: BaseException) -> str:
    """Return the first line of a store's error, or the system's own words for a network error.

    A server that doesn't answer causes a chain of errors, each of which quotes all before it.
    """
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    return first_line(first if isinstance(first, NETWORK) else error)
