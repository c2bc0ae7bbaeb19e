"""Health that survives a restart: written behind the requests, in batches; read at the start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import msgspec

from omniroute.pipeline.keepers.keeper import Keeper
from omniroute.routing.resilience.health import (
    Breaker,
    Cooldown,
    Health,
    HealthView,
    Lockout,
    ModelKey,
    ToolLimit,
)
from omniroute.storage.database import Database
from omniroute.storage.states import StateKey

log = logging.getLogger(__name__)


class HealthKeeper(Keeper):
    """Stores what is not healthy."""

    what = "the health of providers"

    def __init__(
        self,
        health: Health,
        database: Database,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(database, sleep)
        self._health = health
        self._stored: dict[StateKey, Any] = {}
        self._seen: HealthView | None = None

    async def load(self, connections: Collection[str]) -> None:
        """Take over what the last process knew of accounts that still exist."""
        async with self._database.reading() as work:
            self._stored = await work.health.all()
        self._health.restore(from_rows(self._stored, connections, self._health.view().now_ms))

    async def flush(self) -> None:
        """Store what has changed since the last time; nothing when nothing has.

        Raises:
            StorageUnavailable: it could not be stored; the next flush tries again.
        """
        view = self._health.view()
        if self._seen is not None and _same(view, self._seen):
            return
        rows = as_rows(view)
        changed = {place: row for place, row in rows.items() if self._stored.get(place) != row}
        gone = self._stored.keys() - rows.keys()
        if changed or gone:
            async with self._database.work() as work:
                await work.health.save(changed)
                await work.health.delete(gone)
        self._stored, self._seen = rows, view


def as_rows(view: HealthView) -> dict[StateKey, Any]:
    """Everything that is not healthy, by scope and name. A model's name is a JSON array."""
    rows: dict[StateKey, Any] = {}
    rows.update({("breaker", at): _row(row) for at, row in view.breakers.items()})
    rows.update({("cooldown", at): _row(row) for at, row in view.cooldowns.items()})
    rows.update(
        {
            ("lockout", msgspec.json.encode(at).decode()): _row(row)
            for at, row in view.lockouts.items()
        }
    )
    rows.update({("tools", at): _row(row) for at, row in view.tool_limits.items()})
    return rows


def from_rows(
    rows: Mapping[StateKey, Any], connections: Collection[str], now_ms: int
) -> HealthView:
    """The opposite, without accounts that are gone and rows that cannot be read."""
    breakers: dict[str, Breaker] = {}
    cooldowns: dict[str, Cooldown] = {}
    lockouts: dict[ModelKey, Lockout] = {}
    tools: dict[str, ToolLimit] = {}
    for (scope, name), row in rows.items():
        try:
            match scope:
                case "breaker":
                    breakers[name] = msgspec.convert(row, Breaker)
                case "cooldown" if name in connections:
                    cooldowns[name] = msgspec.convert(row, Cooldown)
                case "tools":
                    tools[name] = msgspec.convert(row, ToolLimit)
                case "lockout":
                    key = msgspec.json.decode(name, type=ModelKey)
                    if key[1] in connections:
                        lockouts[key] = msgspec.convert(row, Lockout)
        except (msgspec.DecodeError, msgspec.ValidationError):
            log.warning("what is stored of the %s '%s' is damaged and left out", scope, name)
    return HealthView(now_ms, breakers, cooldowns, lockouts, tools)


def _row(state: Breaker | Cooldown | Lockout | ToolLimit) -> Any:
    row = msgspec.to_builtins(state)
    # A probe ends with its process, and the newest failures are only of interest for seconds.
    return {name: value for name, value in row.items() if name not in ("probing", "counted")}


def _same(one: HealthView, other: HealthView) -> bool:
    """Whether nothing has happened: every change replaces the mapping it is in."""
    return (
        one.breakers is other.breakers
        and one.cooldowns is other.cooldowns
        and one.lockouts is other.lockouts
        and one.tool_limits is other.tool_limits
    )
