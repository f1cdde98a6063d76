"""Who may do what: named keys, from the environment variable ``REID_API_KEYS``."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from reid.common.errors import UserError

KEYS = "REID_API_KEYS"
READ_ONLY = "read"
SHORTEST = 16
"""The fewest letters of a key."""
EXAMPLE = "anna:a-long-secret,door:another-long-secret:read"


@dataclass(frozen=True)
class Caller:
    """Somebody who may use the service."""

    name: str
    """The name of the key, for the audit."""
    may_write: bool
    """Whether this caller may add, forget and judge."""


LOCAL = Caller("local", True)
"""Whoever calls from this machine, if there are no keys."""


class Keys:
    """The keys that open the service."""

    def __init__(self, keys: Sequence[tuple[str, Caller]]) -> None:
        """Keep secrets and their callers. Without any, everybody is `LOCAL`."""
        self._keys = [(secret.encode(), caller) for secret, caller in keys]

    @property
    def are_required(self) -> bool:
        """Whether a caller needs a key."""
        return bool(self._keys)

    def caller(self, secret: str) -> Caller | None:
        """Return who has a key, or None. All keys are compared, in constant time."""
        if not self._keys:
            return LOCAL
        found = None
        for known, caller in self._keys:
            if hmac.compare_digest(known, secret.encode()):
                found = caller
        return found


def parse_keys(text: str) -> Keys:
    """Parse a list like ``anna:secret,door:other-secret:read``.

    Raises:
        UserError: the list has another form, a key is too short, or a name or key occurs twice.
    """
    keys: list[tuple[str, Caller]] = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, rest = part.partition(":")
        secret, _, role = rest.partition(":")
        if not name or len(secret) < SHORTEST or role not in ("", READ_ONLY):
            raise UserError(
                f"{KEYS}: the key of {name or 'somebody without a name'} can't be used. Write "
                f"name:secret or name:secret:{READ_ONLY}, with secrets of at least {SHORTEST} "
                f"letters, separated by commas: {EXAMPLE}"
            )
        keys.append((secret, Caller(name, role != READ_ONLY)))
    if len({caller.name for _, caller in keys}) < len(keys) or len(dict(keys)) < len(keys):
        raise UserError(
            f"{KEYS}: a name or a secret occurs twice. Give each caller one of its own."
        )
    return Keys(keys)
