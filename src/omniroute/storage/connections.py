"""Provider accounts in SQL. Credentials are sealed on the way in and opened on the way out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.failures import translated
from omniroute.storage.records.configuration import Connection
from omniroute.storage.sealing import Sealer
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import provider_connections as table
from omniroute.storage.tables import proxy_assignments as proxied
from omniroute.storage.tables import quota_snapshots as quotas

# Members of `options` that are credentials. `extraApiKeys` is a list, so values are sealed as JSON.
SECRET_OPTIONS = frozenset(
    {
        "consoleApiKey",
        "secretAccessKey",
        "awsSecretAccessKey",
        "sessionToken",
        "awsSessionToken",
        "extraApiKeys",
    }
)

SECRET_COLUMNS = ("api_key", "access_token", "refresh_token", "id_token")


class ConnectionRepository:
    """Accounts, ordered by provider, then priority, then the latest change."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def list(self) -> tuple[Connection, ...]:
        """All accounts."""
        ordered = select(table).order_by(
            table.c.provider, table.c.priority, table.c.updated_at.desc(), table.c.id
        )
        parts = rows_of(self._connection, ordered)
        return tuple([self._record(row) async for part in parts for row in part])

    async def some(self, ids: Collection[str]) -> tuple[Connection, ...]:
        """Those accounts of these ids that exist, in no order."""
        rows = await self._connection.execute(select(table).where(table.c.id.in_(ids)))
        return tuple(self._record(row) for row in rows.mappings())

    async def get(self, id: str) -> Connection | None:  # noqa: A002
        """The account with this id."""
        return await self._first(select(table).where(table.c.id == id))

    async def find(self, provider: str, name: str) -> Connection | None:
        """The API-key account of a provider with this name."""
        keyed = select(table).where(table.c.auth_type == "apikey")
        return await self._first(keyed.where(table.c.provider == provider, table.c.name == name))

    async def find_login(self, provider: str, email: str) -> Connection | None:
        """The OAuth account of a provider with this address."""
        logins = select(table).where(table.c.auth_type == "oauth")
        return await self._first(logins.where(table.c.provider == provider, table.c.email == email))

    async def save(self, connection: Connection) -> None:
        """Insert the account, or overwrite the one with its id. Times are stored as given.

        A credential that could not be decrypted reads as None; saving that record drops it.

        Raises:
            Conflict: another account of the provider and auth type has the name.
        """
        row = msgspec.structs.asdict(connection)
        row["group_name"] = row.pop("group")
        box = await self._sealer.steady()
        row["provider_specific_data"] = _sealed(box, connection.id, row.pop("options"))
        for column in SECRET_COLUMNS:
            if row[column] is not None:
                row[column] = box.seal(row[column], place(connection.id, column))
        with translated(f"{connection.provider} already has an account named {connection.name!r}."):
            await upsert(self._connection, table, row)

    async def claim_check(self, id: str, last: str | None, now: str) -> bool:  # noqa: A002
        """Note that the account is tested now; False when somebody else did since `last`."""
        unchanged = table.c.last_health_check_at.is_not_distinct_from(last)
        changed = await self._connection.execute(
            update(table).where(table.c.id == id, unchanged).values(last_health_check_at=now)
        )
        return changed.rowcount > 0

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Remove the account; False when there was none."""
        return await self.delete_all([id]) > 0

    async def delete_all(self, ids: Sequence[str]) -> int:
        """Remove accounts; how many of them there were."""
        removed = await self._connection.execute(delete(table).where(table.c.id.in_(ids)))
        await self._connection.execute(delete(quotas).where(quotas.c.connection_id.in_(ids)))
        await self._connection.execute(
            delete(proxied).where(proxied.c.scope == "account", proxied.c.scope_id.in_(ids))
        )
        return removed.rowcount

    async def of_provider(self, provider: str) -> tuple[Connection, ...]:
        """All accounts of a provider or node."""
        rows = await self._connection.execute(select(table).where(table.c.provider == provider))
        return tuple(self._record(row) for row in rows.mappings())

    async def delete_for_provider(self, provider: str) -> int:
        """Remove all accounts of a provider or node; how many there were."""
        ids = select(table.c.id).where(table.c.provider == provider)
        await self._connection.execute(
            delete(proxied).where(proxied.c.scope == "account", proxied.c.scope_id.in_(ids))
        )
        removed = await self._connection.execute(delete(table).where(table.c.provider == provider))
        await self._connection.execute(delete(quotas).where(quotas.c.provider == provider))
        return removed.rowcount

    async def _first(self, statement: Select[Any]) -> Connection | None:
        row = (await self._connection.execute(statement.limit(1))).mappings().first()
        return None if row is None else self._record(row)

    def _record(self, row: RowMapping) -> Connection:
        values = dict(row)
        id_ = values["id"]
        values["group"] = values.pop("group_name")
        values["options"] = self._opened(id_, values.pop("provider_specific_data"))
        for column in SECRET_COLUMNS:
            if values[column] is not None:
                values[column] = self._sealer.open(values[column], place(id_, column))
        return Connection(**values)

    def _opened(self, id_: str, stored: object) -> dict[str, Any]:
        """Options with their secrets in clear text; a secret that does not open is left out."""
        options = dict(stored) if isinstance(stored, dict) else {}
        for key in SECRET_OPTIONS & options.keys():
            text = self._sealer.open(str(options.pop(key)), place(id_, f"options.{key}"))
            if text is not None:
                options[key] = msgspec.json.decode(text)
        return options


def _sealed(box: SecretBox, id_: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: box.seal(msgspec.json.encode(value).decode(), place(id_, f"options.{key}"))
        if key in SECRET_OPTIONS
        else value
        for key, value in options.items()
    }


def place(id_: str, column: str) -> str:
    """What a value in a column is bound to; secret options are `options.<name>`."""
    return f"{table.name}:{id_}:{column}"
