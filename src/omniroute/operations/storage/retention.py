"""How long records stay, and having those go whose time is over. Source: 02 §10.10, §14.2."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, ValidationFailed
from omniroute.storage.database import Work
from omniroute.storage.retention import EXPIRING, RULES, Keep, Rule

log = structlog.get_logger(__name__)

NAMESPACE = "databaseSettings"
BATCH = 500
"""Rows a transaction removes: few, so that whoever wants to write waits milliseconds."""

START_S = 10.0
ROUND_S = 3_600.0

DETAILED_LOGS = ("routingDecisions",)
CALL_LOGS = ("callLogs",)
LOGS = ("callLogs", "routingDecisions", "proxyLogs", "mcpAudit", "auditLog")

Days = Annotated[int, Meta(ge=0, le=36_500)]
Rows = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class DatabaseSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """What stays: days and numbers of rows by kind of record, 0 for any. `vacuum_after_cleanup`
    gives the room of removed rows back to the disk, which is otherwise kept for new ones."""

    auto_cleanup_enabled: bool
    vacuum_after_cleanup: bool
    retention: dict[str, int]
    max_rows: dict[str, int]


class DatabaseChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to change; a null restores the default."""

    auto_cleanup_enabled: bool | None = None
    vacuum_after_cleanup: bool | None = None
    retention: dict[str, Days | None] = {}
    max_rows: dict[str, Rows | None] = {}


class Purged(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows went, in all and by kind of record."""

    success: bool
    deleted: int
    counts: dict[str, int]


class _Stored(Struct, frozen=True, kw_only=True, rename="camel"):
    auto_cleanup_enabled: bool = True
    vacuum_after_cleanup: bool = False
    retention: dict[str, int] = {}
    max_rows: dict[str, int] = {}


async def database_settings(engine: Engine, caller: Caller) -> DatabaseSettings:
    """What stays for how long."""
    async with engine.database.reading() as work:
        return _in_force(await _stored(work), engine.kept)


async def change_database_settings(
    engine: Engine, caller: Caller, change: DatabaseChange
) -> DatabaseSettings:
    """Change what is named; the rest stays. It holds from the next round on.

    Raises:
        ValidationFailed: a kind of record is unknown, or nothing is named.
    """
    require_known(change)
    async with engine.configuration.change(caller, "settings.updated", "database") as work:
        old = await _stored(work)
        new = _Stored(
            auto_cleanup_enabled=_or(change.auto_cleanup_enabled, old.auto_cleanup_enabled),
            vacuum_after_cleanup=_or(change.vacuum_after_cleanup, old.vacuum_after_cleanup),
            retention=_merged(old.retention, change.retention),
            max_rows=_merged(old.max_rows, change.max_rows),
        )
        await work.settings.set(NAMESPACE, msgspec.to_builtins(new), namespace=NAMESPACE)
    return _in_force(new, engine.kept)


async def purge(engine: Engine, caller: Caller, names: Sequence[str]) -> Purged:
    """Have those records go now whose time is over.

    Args:
        names: kinds of records, as the settings name them.
    """
    counts = await _swept(engine, names, asyncio.Event())
    return Purged(success=True, deleted=sum(counts.values()), counts=counts)


class RetentionKeeper:
    """Removes what need not stay: soon after the start, and every hour."""

    def __init__(self, engine: Engine, start_s: float = START_S) -> None:
        self._engine = engine
        self._start_s = start_s
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Work until the process stops; what is being removed then is finished."""
        task = asyncio.create_task(self._keep(), name="retention")
        try:
            yield
        finally:
            self._closing.set()
            await task

    async def _keep(self) -> None:
        wait_s = self._start_s
        while not await self._closed_within(wait_s):
            try:
                await self.round()
            except OmniRouteError as error:
                log.warning("retention_failed", error=str(error))
            except Exception:  # whatever it is, records must not pile up for ever
                log.exception("retention_failed")
            wait_s = ROUND_S

    async def round(self) -> dict[str, int]:
        """Remove what need not stay, unless operators have switched that off."""
        engine = self._engine
        async with engine.database.reading() as work:
            settings = await _stored(work)
        counts = await _expired(engine, self._closing)
        if settings.auto_cleanup_enabled:
            counts |= await _swept(engine, tuple(RULES), self._closing)
        if settings.vacuum_after_cleanup and any(counts.values()) and not self._closing.is_set():
            await engine.database.vacuum()
        return counts

    async def _closed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True


async def _swept(engine: Engine, names: Sequence[str], stop: asyncio.Event) -> dict[str, int]:
    async with engine.database.reading() as work:
        settings = _in_force(await _stored(work), engine.kept)
    counts = {}
    for name in names:
        keep = Keep(settings.retention[name], settings.max_rows[name])
        counts[name] = await _sweep(engine, RULES[name], keep, stop)
    return counts


async def _sweep(engine: Engine, rule: Rule, keep: Keep, stop: asyncio.Event) -> int:
    async with engine.database.reading() as work:
        cutoff = await work.retention.cutoff_ms(rule, keep, engine.now_ms())
    total = 0
    while cutoff is not None and not stop.is_set():
        async with engine.database.work() as work:
            gone = await work.retention.delete_before(rule, cutoff, BATCH)
        total += gone
        if gone < BATCH:
            break
    return total


async def _expired(engine: Engine, stop: asyncio.Event) -> dict[str, int]:
    counts = {}
    for table in EXPIRING:
        counts[f"expired {table.name}"] = 0
        while not stop.is_set():
            async with engine.database.work() as work:
                gone = await work.retention.delete_expired(table, engine.now_ms(), BATCH)
            counts[f"expired {table.name}"] += gone
            if gone < BATCH:
                break
    return counts


async def _stored(work: Work) -> _Stored:
    found = (await work.settings.namespace(NAMESPACE)).get(NAMESPACE)
    try:
        return msgspec.convert(found or {}, _Stored)
    except msgspec.ValidationError:
        log.warning("database_settings_unreadable")
        return _Stored()


def _in_force(stored: _Stored, defaults: Mapping[str, Keep]) -> DatabaseSettings:
    return DatabaseSettings(
        auto_cleanup_enabled=stored.auto_cleanup_enabled,
        vacuum_after_cleanup=stored.vacuum_after_cleanup,
        retention={name: stored.retention.get(name, keep.days) for name, keep in defaults.items()},
        max_rows={name: stored.max_rows.get(name, keep.rows) for name, keep in defaults.items()},
    )


def require_known(change: DatabaseChange) -> None:
    """Refuse kinds of records that do not exist.

    Raises:
        ValidationFailed: says which, or that nothing is named.
    """
    problems = [
        (f"{field}.{name}", f"is no kind of record.{did_you_mean(name, RULES)}")
        for field, named in (("retention", change.retention), ("maxRows", change.max_rows))
        for name in named
        if name not in RULES
    ]
    if change == DatabaseChange():
        problems.append(("", "at least one setting is needed"))
    if problems:
        raise ValidationFailed(problems)


def _merged(old: Mapping[str, int], change: Mapping[str, int | None]) -> dict[str, int]:
    return {name: value for name, value in {**old, **change}.items() if value is not None}


def _or(said: bool | None, old: bool) -> bool:
    return old if said is None else said


def kept_by_default(
    app_log_days: int | None, call_log_days: int | None, call_log_rows: int, proxy_log_rows: int
) -> dict[str, Keep]:
    """What stays where no operator has said otherwise.

    Args:
        app_log_days: days for what was done to the gateway and for calls of tools, if told.
        call_log_days: days for records of requests, if told.
        call_log_rows: the most rows of the call log, and of the decisions beside it.
        proxy_log_rows: the most rows of the log of outbound proxies.
    """
    days: dict[str, Any] = {
        **dict.fromkeys(("auditLog", "mcpAudit"), app_log_days),
        **dict.fromkeys(
            ("callLogs", "routingDecisions", "proxyLogs", "usageHistory"), call_log_days
        ),
    }
    rows = dict.fromkeys(("callLogs", "routingDecisions"), call_log_rows)
    rows["proxyLogs"] = proxy_log_rows
    return {
        name: Keep(
            rule.keep.days if days.get(name) is None else days[name],
            rows.get(name, rule.keep.rows),
        )
        for name, rule in RULES.items()
    }
