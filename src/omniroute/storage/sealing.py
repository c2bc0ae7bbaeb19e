"""The secret box as a transaction sees it: nothing is sealed under a key that is being retired."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.secret_box import SecretBox

_POSTGRESQL_LOCK = 7_260_553_018
"""An advisory lock: shared by whoever seals, alone with whoever looks for the last old value."""


class Sealer:
    """Opens at any time; gives the box for sealing once the key cannot go away any more.

    A value sealed under an old key and stored after a rotation has looked for old values would be
    lost with that key. On SQLite there is one writer, so a look at the key files within the
    transaction is enough; on PostgreSQL writers share a lock that the rotation waits for.
    """

    def __init__(self, connection: AsyncConnection, box: SecretBox) -> None:
        self._connection = connection
        self._box = box
        self._steady = False

    def open(self, stored: str, where: str) -> str | None:
        """What a value says; None, and a log line, where it does not open."""
        return self._box.open(stored, where)

    async def steady(self) -> SecretBox:
        """The box, whose key stays until this transaction has ended."""
        if not self._steady:
            await self._lock("pg_advisory_xact_lock_shared")
            self._box.renew()
            self._steady = True
        return self._box

    async def alone(self) -> None:
        """Wait for all who have sealed something and not yet committed, and hold others off."""
        await self._lock("pg_advisory_xact_lock")

    async def _lock(self, function: str) -> None:
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(
                text(f"SELECT {function}(:key)"), {"key": _POSTGRESQL_LOCK}
            )
