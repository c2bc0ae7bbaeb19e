"""What operators call models, in the key-value table: aliases and models they added."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from omniroute.storage.records.configuration import CustomModel, ModelCompat
from omniroute.storage.sealing import Sealer
from omniroute.storage.statements import rows_of, upsert
from omniroute.storage.tables import key_value as table

ALIASES = "modelAliases"
_CUSTOM = "customModels"
COMPAT = "modelCompatOverrides"


class ModelNameRepository:
    """Aliases by name, and custom models by provider and id."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def aliases(self, named: Collection[str] | None = None) -> dict[str, str]:
        """What each alias stands for, by name; of those `named` only where some are."""
        rows = await self._all(ALIASES, named)
        return {alias: str(target) for alias, target in rows.items()}

    async def set_alias(self, alias: str, target: str) -> None:
        """Let `alias` stand for `target`, whatever it stood for before."""
        await self._set(ALIASES, alias, target)

    async def delete_alias(self, alias: str) -> bool:
        """Forget the alias; False when there was none."""
        return await self._delete(ALIASES, alias)

    async def custom_models(self) -> tuple[CustomModel, ...]:
        """The models operators added, by provider and id."""
        rows = await self._all(_CUSTOM)
        return tuple(msgspec.convert(rows[key], CustomModel) for key in sorted(rows))

    async def save_custom_model(self, model: CustomModel) -> None:
        """Add the model, or replace the one with its id at its provider."""
        await self._set(_CUSTOM, f"{model.provider}/{model.id}", msgspec.to_builtins(model))

    async def delete_custom_model(self, provider: str, model_id: str) -> bool:
        """Remove the model; False when there was none."""
        return await self._delete(_CUSTOM, f"{provider}/{model_id}")

    async def compat(self) -> tuple[ModelCompat, ...]:
        """What is done otherwise for single models, by provider and id."""
        rows = await self._all(COMPAT)
        return tuple(
            msgspec.convert(with_headers(rows[key], partial(self._opened, key)), ModelCompat)
            for key in sorted(rows)
        )

    async def save_compat(self, compat: ModelCompat) -> None:
        """Keep what is done otherwise for a model; nothing is kept of one treated as any other."""
        key = f"{compat.provider}/{compat.id}"
        if compat.says_nothing:
            await self._delete(COMPAT, key)
        else:
            box = await self._sealer.steady()

            def sealed(within: str, value: str) -> str:
                return box.seal(value, place(key, within))

            row = with_headers(msgspec.to_builtins(compat), sealed)
            await self._set(COMPAT, key, row)

    def _opened(self, key: str, within: str, value: str) -> str | None:
        return self._sealer.open(value, place(key, within))

    async def _all(self, namespace: str, keys: Collection[str] | None = None) -> dict[str, Any]:
        wanted = select(table.c.key, table.c.value).where(table.c.namespace == namespace)
        if keys is not None:
            wanted = wanted.where(table.c.key.in_(keys))
        parts = rows_of(self._connection, wanted)
        return {row["key"]: row["value"] async for part in parts for row in part}

    async def _set(self, namespace: str, key: str, value: Any) -> None:
        await upsert(self._connection, table, {"namespace": namespace, "key": key, "value": value})

    async def _delete(self, namespace: str, key: str) -> bool:
        removed = await self._connection.execute(
            delete(table).where(table.c.namespace == namespace, table.c.key == key)
        )
        return removed.rowcount > 0


def place(key: str, within: str) -> str:
    """What the value of a header is bound to."""
    return f"{table.name}:{COMPAT}.{key}:{within}"


def with_headers(row: dict[str, Any], turned: Callable[[str, str], str | None]) -> dict[str, Any]:
    """A row with the values of its headers turned into something else; those that cannot be are
    left out. Headers may hold credentials, whatever they are called."""

    def headers(part: dict[str, Any], within: str) -> dict[str, Any]:
        if not part.get("upstreamHeaders"):
            return part
        found = {
            name: turned(f"{within}{name}", value)
            for name, value in part["upstreamHeaders"].items()
        }
        return {**part, "upstreamHeaders": {k: v for k, v in found.items() if v is not None}}

    if row.get("compatByProtocol"):
        by_protocol = {
            name: headers(part, f"{name}.") for name, part in row["compatByProtocol"].items()
        }
        row = {**row, "compatByProtocol": by_protocol}
    return headers(row, "")
