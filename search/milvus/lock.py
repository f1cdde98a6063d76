"""The right to change the collections of an index, which one process at a time has."""

import json
import time
import uuid
from contextlib import suppress
from platform import node

from reid.common.errors import UserError
from search.milvus.connection import MilvusConnection, MilvusError, add_key_and_vector, add_number
from search.milvus.rows import LEASE_ROW, NOTHING, STATE

LOCK = "reid_lock"
WAIT = 30.0
"""Seconds to wait for another process that changes the collections."""
LEASE = 600.0
"""Seconds without a sign of life after which the holder of the lock counts as dead."""
SIGN_OF_LIFE = 30.0
"""Seconds between two signs of life."""
MOST_REFUSED = 5
"""How often in turn the server may refuse to make the lock although nobody has it."""


class Lock:
    """The right to change the collections: the collection ``reid_lock``, which only one can make.

    Its one field besides the id says who holds it, and since when.
    """

    def __init__(self, server: MilvusConnection) -> None:
        """Prepare to take the lock of a server."""
        self._server = server
        self._name = uuid.uuid4().hex
        self._signed = 0.0
        self._refused = 0

    def acquire(self) -> None:
        """Wait for the lock and take it.

        Raises:
            UserError: another process has it for longer than ``WAIT`` seconds.
        """
        deadline = time.monotonic() + WAIT
        while not self._taken():
            name, since = self._holder()
            alive = self._last_sign(name, since)
            if name and time.time() - alive > LEASE:
                self._server.drop(LOCK)
            elif time.monotonic() > deadline:
                began = time.strftime("%H:%M:%S", time.localtime(since))
                raise UserError(
                    f"{self._server.place}: another process has been changing the index since "
                    f"{began}. Try again when it has finished. If it died, its lock ends "
                    f"{LEASE / 60:.0f} minutes after its last sign of life."
                )
            else:
                time.sleep(0.1)
        self._signed = time.monotonic()

    def _taken(self) -> bool:
        schema = self._server.new_schema(f"reid: {node()} changes the index")
        add_key_and_vector(schema, len(NOTHING))
        add_number(schema, f"holder_{self._name}_{int(time.time())}")
        try:
            self._server.create_bare(LOCK, schema)
        except MilvusError:
            # If nobody has the lock, its holder has just dropped it, or creating is forbidden.
            self._refused = 0 if self._holder()[0] else self._refused + 1
            if self._refused > MOST_REFUSED:
                raise
        return self._holder()[0] == self._name

    def _holder(self) -> tuple[str, float]:
        """Return who has the lock, and since when; an empty name if nobody has it."""
        for field in self._server.fields(LOCK) or []:
            if field.startswith("holder_"):
                _, name, since = field.split("_")
                return name, float(since)
        return "", time.time()

    def _last_sign(self, name: str, since: float) -> float:
        if self._server.fields(STATE) is None:
            return since
        row = self._server.rows(STATE, [LEASE_ROW], ["state"]).get(LEASE_ROW)
        lease = json.loads(row["state"]) if row else {}
        return float(lease["time"]) if lease.get("holder") == name else since

    def sign_of_life(self) -> None:
        """Say from time to time that this process is still changing the index."""
        if time.monotonic() - self._signed > SIGN_OF_LIFE:
            lease = json.dumps({"holder": self._name, "time": time.time()})
            self._server.write(STATE, [{"id": LEASE_ROW, "vector": NOTHING, "state": lease}])
            self._signed = time.monotonic()

    def check(self) -> None:
        """Check that this process still has the lock.

        Raises:
            UserError: another process took it, because this one gave no sign of life.
        """
        if self._holder()[0] != self._name:
            raise UserError(
                f"{self._server.place}: this process was halted for too long while it changed the "
                "index, and another one took over. Nothing was changed. Try again."
            )

    def release(self) -> None:
        """Give the lock back."""
        with suppress(MilvusError):  # It ends by itself after a while.
            if self._holder()[0] == self._name:
                self._server.drop(LOCK)
