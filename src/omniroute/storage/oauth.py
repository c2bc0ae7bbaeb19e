"""Sign-ins that have begun, and the leases under which tokens are refreshed."""

import hashlib

from msgspec import Struct
from sqlalchemy import delete, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import insert_into
from omniroute.storage.tables import oauth_states, refresh_leases


class SignIn(Struct, frozen=True, kw_only=True):
    """A sign-in that has begun. Times are epoch milliseconds."""

    provider: str
    verifier: str
    redirect_uri: str

    def __repr__(self) -> str:
        return f"SignIn({self.provider})"


class OAuthStateRepository:
    """What was kept when a browser was sent away, by the `state` it brings back."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def add(self, state: str, begun: SignIn, now_ms: int) -> None:
        """Keep a sign-in under its state."""
        name, box = _hashed(state), await self._sealer.steady()
        row = {
            "state": name,
            "provider": begun.provider,
            "verifier": box.seal(begun.verifier, place(name)),
            "redirect_uri": begun.redirect_uri,
            "created_at_ms": now_ms,
            "consumed_at_ms": None,
        }
        await self._connection.execute(insert_into(self._connection, oauth_states).values(row))

    async def consume(self, state: str, since_ms: int, now_ms: int) -> SignIn | None:
        """The sign-in of a state that was made since a time; nobody gets it a second time."""
        name, table = _hashed(state), oauth_states
        taken = await self._connection.execute(
            update(table)
            .where(
                table.c.state == name,
                table.c.consumed_at_ms.is_(None),
                table.c.created_at_ms >= since_ms,
            )
            .values(consumed_at_ms=now_ms)
            .returning(table.c.provider, table.c.verifier, table.c.redirect_uri)
        )
        row = taken.first()
        verifier = self._sealer.open(row.verifier, place(name)) if row is not None else None
        if row is None or verifier is None:
            return None
        return SignIn(provider=row.provider, verifier=verifier, redirect_uri=row.redirect_uri)

    async def drop_older(self, before_ms: int) -> None:
        """Forget what nobody came back for."""
        old = oauth_states.c.created_at_ms < before_ms
        await self._connection.execute(delete(oauth_states).where(old))


class RefreshLeaseRepository:
    """Which process refreshes an account; a lease ends by itself when its process dies."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, connection_id: str, holder: str, now_ms: int, until_ms: int) -> bool:
        """Take the lease, unless somebody else has it; one statement, so one process gets it."""
        table = refresh_leases
        statement = insert_into(self._connection, table).values(
            connection_id=connection_id, holder=holder, until_ms=until_ms
        )
        free = or_(table.c.until_ms <= now_ms, table.c.holder == holder)
        taken = await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[table.c.connection_id],
                set_={"holder": holder, "until_ms": until_ms},
                where=free,
            ).returning(table.c.holder)
        )
        return taken.first() is not None

    async def release(self, connection_id: str, holder: str) -> None:
        """Give the lease back, if it is still ours."""
        table = refresh_leases
        await self._connection.execute(
            delete(table).where(table.c.connection_id == connection_id, table.c.holder == holder)
        )


def _hashed(state: str) -> str:
    """A digest is looked up, so that the time it takes says nothing about the state itself."""
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def place(name: str) -> str:
    """What the verifier of a sign-in is bound to."""
    return f"{oauth_states.name}:{name}:verifier"
