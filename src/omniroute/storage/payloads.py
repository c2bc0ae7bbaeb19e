"""Bodies of calls in SQL, compressed."""

import logging
import zlib
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.payloads import Payload
from omniroute.storage.statements import insert_new
from omniroute.storage.tables import call_payloads as table

log = logging.getLogger(__name__)


class PayloadRepository:
    """Bodies by the id of their request."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, payloads: Sequence[Payload]) -> None:
        """Keep bodies; of calls that have some already nothing changes."""
        rows = [
            {
                "id": one.id,
                "timestamp_ms": one.timestamp_ms,
                "request": None if one.request is None else zlib.compress(one.request),
                "response": None if one.response is None else zlib.compress(one.response),
                "cut": one.cut,
            }
            for one in payloads
        ]
        await insert_new(self._connection, table, rows)

    async def known(self, ids: Collection[str]) -> dict[str, tuple[bool, bool]]:
        """Which of some calls have a request and an answer kept."""
        wanted = select(table.c.id, table.c.request.is_not(None), table.c.response.is_not(None))
        rows = await self._connection.execute(wanted.where(table.c.id.in_(ids)))
        return {id_: (bool(request), bool(response)) for id_, request, response in rows}

    async def get(self, id: str) -> Payload | None:  # noqa: A002
        """The bodies of a call.

        Raises:
            ValueError: they are damaged.
        """
        row = (await self._connection.execute(select(table).where(table.c.id == id))).first()
        if row is None:
            return None
        try:
            return Payload(
                id=row.id,
                timestamp_ms=row.timestamp_ms,
                request=None if row.request is None else zlib.decompress(row.request),
                response=None if row.response is None else zlib.decompress(row.response),
                cut=row.cut,
            )
        except zlib.error as error:
            raise ValueError("the bodies of a call are damaged") from error
