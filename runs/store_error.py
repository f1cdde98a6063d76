"""Why a tracking store or its artifacts can't be used, in the few words that tell it."""

from socket import gaierror

from reid.common.errors import first_line

NETWORK = (ConnectionError, TimeoutError, gaierror)


def complaint(error: BaseException) -> str:
    """What an error of a store says in its first line; of the network, the system's own words.

    A server that doesn't answer makes a chain of errors, in which each quotes all before it.
    """
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    return first_line(first if isinstance(first, NETWORK) else error)
