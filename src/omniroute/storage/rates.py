"""How often keys asked, window by window, in SQL: taken in slices, never past the limit."""

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.live import RateWindow
from omniroute.storage.statements import insert_new
from omniroute.storage.tables import rate_windows as table


class RateRepository:
    """Requests that are taken of each window. Call within one transaction for writing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, window: RateWindow, limit: int, want: int) -> tuple[int, int]:
        """Take up to `want` requests of a window; how many that were, and how many are taken."""
        which = select(table.c.taken).where(_of(window)).with_for_update()
        row = (await self._connection.execute(which)).first()
        if row is None:
            await insert_new(self._connection, table, [{**_columns(window), "taken": 0}])
            row = (await self._connection.execute(which)).one()
        taken = int(row.taken)
        granted = max(0, min(want, limit - taken))
        if granted:
            await self._add(window, granted)
        return granted, taken + granted

    async def give_back(self, window: RateWindow, requests: int) -> None:
        """Return requests that were taken and not used."""
        await self._add(window, -requests)

    async def drop_over(self, now_s: int) -> None:
        """Forget windows that have ended."""
        await self._connection.execute(
            delete(table).where(table.c.start_s + table.c.window_s <= now_s)
        )

    async def drop_key(self, key_id: str) -> None:
        """Forget a key."""
        await self._connection.execute(delete(table).where(table.c.key_id == key_id))

    async def _add(self, window: RateWindow, requests: int) -> None:
        await self._connection.execute(
            update(table).where(_of(window)).values(taken=table.c.taken + requests)
        )


def _columns(window: RateWindow) -> dict[str, str | int]:
    return {"key_id": window.key_id, "window_s": window.window_s, "start_s": window.start_s}


def _of(window: RateWindow) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _columns(window).items()))
