"""The engine: the collaborators every operation stands on, and the configuration they read."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from msgspec import MsgspecError
from msgspec.structs import replace

from omniroute.background import in_background
from omniroute.caller import Caller
from omniroute.catalog.fitness import Fitness
from omniroute.clock import now_ms as clock_ms
from omniroute.errors import Conflict, InvalidRequest, OmniRouteError
from omniroute.pipeline.accounts.callbacks import Callbacks
from omniroute.pipeline.accounts.logins import Logins
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.accounts.quota_watch import QuotaWatch
from omniroute.pipeline.callers.admission import Admission
from omniroute.pipeline.callers.sessions import Sessions
from omniroute.pipeline.chat import ChatPipeline
from omniroute.pipeline.compression.descriptions import Descriptions
from omniroute.pipeline.metrics import Metrics
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.payloads import PayloadLog
from omniroute.pipeline.search.desk import SearchDesk
from omniroute.routing.live import Live
from omniroute.routing.proxying import Outbound
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.snapshot import Snapshot, build_snapshot
from omniroute.skills.tool import ToolRegistry
from omniroute.storage.backups.store import Backups
from omniroute.storage.configured import Configured, read_again, read_all
from omniroute.storage.database import Database, Work
from omniroute.storage.drainer import Drainer
from omniroute.storage.env_file import EnvFile
from omniroute.storage.records.audit import AuditEntry, AuditStatus
from omniroute.storage.records.configuration import Connection, SyncedPrices
from omniroute.storage.retention import Keep
from omniroute.storage.rotation import Rotation
from omniroute.storage.secrets import Secrets
from omniroute.storage.session_secret import SessionSecret
from omniroute.upstream.cloud_server import CloudServer
from omniroute.upstream.price_lists import PriceLists
from omniroute.upstream.webhooks import Webhooks

log = structlog.get_logger(__name__)

_RESOURCES: Mapping[str, str] = {
    "auth": "auth_session",
    "provider.credentials": "provider_credentials",
    "provider.validation": "provider_credentials",
    "apiKey": "api_key",
    "sync.token": "sync_token",
    "sync.cloud": "cloud_sync",
}
"""What actions are about, by how they begin; others are about their first word."""


def audit_entry(
    caller: Caller,
    action: str,
    target: str | None,
    timestamp_ms: int,
    *,
    status: AuditStatus = "success",
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """What the audit log says of something a caller did or tried."""
    noun = action.rpartition(".")[0]
    return AuditEntry(
        timestamp_ms=timestamp_ms,
        action=action,
        actor=caller.actor,
        target=target,
        details=dict(details or {}),
        metadata={"door": caller.door, "credential": caller.credential},
        ip_address=caller.address,
        resource_type=_RESOURCES.get(noun, noun.partition(".")[0]),
        status=status,
        request_id=caller.request_id,
    )


def _size(stored: Configured) -> int:
    return len(stored.connections) + len(stored.nodes) + len(stored.combos)


MANY = 1_000
"""Accounts, nodes and combos together from which on a snapshot is built beside the event loop."""


class Configuration:
    """Holds the current snapshot and is the only way to change what is in it.

    Args:
        found: accounts found at start (keys in the environment, servers on this machine); they
            are in every snapshot and never stored.
        spellings: whether other vendors' spellings of model names are understood.
        fitness: the operator's own table of how well models do.
        before_change: called before every change, while nothing is locked.
        outbound: what holds for proxies whatever is stored.
    """

    def __init__(
        self,
        database: Database,
        found: Sequence[Connection] = (),
        *,
        spellings: bool = True,
        fitness: Fitness | None = None,
        outbound: Outbound | None = None,
        now_ms: Callable[[], int] = clock_ms,
        before_change: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self.spellings = spellings
        self._fitness = fitness
        self._before_change = before_change
        self._outbound = outbound or Outbound()
        self._lock = asyncio.Lock()
        self.found = tuple(found)
        self._snapshot: Snapshot | None = None
        self._configured: Configured | None = None
        self._synced = SyncedPrices()
        self._watchers: list[Callable[[Snapshot], None]] = []

    def watch(self, seen: Callable[[Snapshot], None]) -> None:
        """Have `seen` called with every snapshot that replaces the current one."""
        self._watchers.append(seen)

    @property
    def snapshot(self) -> Snapshot:
        """What new requests see."""
        if self._snapshot is None:
            raise RuntimeError("The configuration has not been loaded")
        return self._snapshot

    async def load(self) -> None:
        """Read everything from storage and swap it in whole."""
        async with self._database.reading() as work:
            first = self._configured is None
            stored = await read_all(work)
            await self._take_over(work, stored)
        if first and _size(stored) >= MANY:
            # What is there for good need not be looked at by every full collection, which would
            # hold requests up for as long as there are rows.
            gc.freeze()

    async def _take_over(self, work: Work, configured: Configured) -> None:
        self._synced = await work.synced_prices.read(self._synced)
        built = await self._built(configured, self._synced)
        self._configured, self._snapshot = configured, built
        for seen in self._watchers:
            seen(built)

    async def _built(self, stored: Configured, synced: SyncedPrices) -> Snapshot:
        """The snapshot of what is stored and found. A large one is built in a thread of its own:
        requests go on meanwhile."""
        taken = {(row.provider, row.api_key) for row in stored.connections.values()}
        fresh = [row for row in self.found if (row.provider, row.api_key) not in taken]
        build = partial(
            build_snapshot,
            version=stored.version,
            connections=[*stored.connections.values(), *fresh],
            nodes=stored.nodes.values(),
            combos=stored.combos.values(),
            keys=stored.keys.values(),
            settings=stored.settings,
            aliases=stored.aliases,
            mappings=stored.mappings.values(),
            custom_models=stored.custom_models,
            compat=stored.compat,
            budgets=stored.budgets,
            stated_prices=stored.stated_prices,
            synced_prices=synced,
            access=stored.access,
            agents=stored.agents,
            spellings=self.spellings,
            fitness=self._fitness,
            outbound=replace(
                self._outbound,
                proxies=stored.proxies,
                assignments=stored.assignments,
                layers=stored.layers,
            ),
            last=self._snapshot,
        )
        return build() if _size(stored) < MANY else await asyncio.to_thread(build)

    async def supposed(self, stored: Configured) -> Snapshot:
        """The snapshot there would be if that were stored."""
        return await self._built(stored, self._synced)

    def seeing(self, snapshot: Snapshot) -> "Configuration":
        """A configuration to check plans against: it sees a snapshot that was never stored."""
        other = copy(self)
        other._snapshot = snapshot  # noqa: SLF001
        return other

    async def require_readable(self, work: Work) -> None:
        """Try to read everything within a transaction that may still be taken back.

        Raises:
            InvalidRequest: something in it makes no sense to this version.
        """
        try:
            synced = await work.synced_prices.read(SyncedPrices())
            await self._built(await read_all(work), synced)
        except (AttributeError, LookupError, TypeError, ValueError, MsgspecError) as error:
            raise InvalidRequest(
                "The configuration in the file cannot be read by this version."
            ) from error

    @asynccontextmanager
    async def replaced(
        self, caller: Caller, action: str, target: str
    ) -> AsyncGenerator[Callable[[Work], Awaitable[None]]]:
        """Hold changes off while everything is replaced, then read it anew.

        Yields what must be called with the new rows before they count: it raises `InvalidRequest`
        where this version cannot read them, and writes into the audit log what was done.
        """

        async def verify(work: Work) -> None:
            await self.require_readable(work)
            await work.audit_log.add(audit_entry(caller, action, target, self._now_ms()))

        async with self._lock:
            yield verify
            await self.load()

    @asynccontextmanager
    async def following(
        self, every_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> AsyncGenerator[None]:
        """See what other processes on the same database change, `every_s` seconds later at the
        latest, while the context is open."""
        async with in_background(self._follow(every_s, sleep), "configuration"):
            yield

    async def _follow(self, every_s: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        while True:
            await sleep(every_s)
            try:
                await self.catch_up()
            except OmniRouteError as error:  # the old configuration holds until it can be read
                log.warning("configuration_not_read", error=str(error))

    async def catch_up(self) -> None:
        """Read everything again if somebody else has changed something."""
        async with self._database.reading() as work:
            stored = await work.settings.version()
        if stored != self.snapshot.version:
            async with self._lock:
                await self.load()

    @asynccontextmanager
    async def change(
        self, caller: Caller, action: str, target: str | None = None
    ) -> AsyncGenerator[Work]:
        """A transaction on configuration; the next request after it sees what it wrote.

        The audit log says so in the same transaction; put what changed into `work.details`.

        Args:
            action: `noun.verb`, see 02 §14.2.
            target: what is changed, by the name people know it by.
        """
        if self._before_change is not None:
            await self._before_change()
        async with self.noted() as work:
            yield work
            entry = audit_entry(caller, action, target, self._now_ms(), details=work.details)
            await work.audit_log.add(entry)

    @asynccontextmanager
    async def noted(self) -> AsyncGenerator[Work]:
        """The same for what the gateway finds out by itself, of which the audit log says nothing:
        how an account was tested, say."""
        async with self._lock:
            async with self._database.work() as work:
                yield work
                await work.settings.bump()
            if self._configured is None:
                await self.load()
                return
            async with self._database.reading() as reading:
                again = await read_again(reading, self._configured, work.changes)
                await self._take_over(reading, again)


class Lifecycle:
    """How whoever manages the gateway has its process end. What runs it says how that is done."""

    def __init__(self) -> None:
        self._end: Callable[[bool], None] | None = None

    def ends_by(self, end: Callable[[bool], None]) -> None:
        """Have `end` called when the process is to end; with True where it is to start again."""
        self._end = end

    def stop(self, *, restart: bool) -> None:
        """Have the process end in a moment, after what it is doing.

        Raises:
            Conflict: whatever runs the engine does not let it end this way.
        """
        if self._end is None:
            raise Conflict("This process cannot be stopped over its API; stop what started it.")
        self._end(restart)


@dataclass(frozen=True, slots=True)
class Engine:
    """What operations are called with.

    `now_ms` is epoch milliseconds, `new_id` makes ids no two requests share, `new_api_key` makes
    the text of a gateway key. `kept` says how long records stay unless operators say otherwise.
    `environ` is the environment of the process, where references of configuration files look.
    `agent_ids` are the agents that come with the gateway, whose ids are taken.
    `proxy_test_url` is the page that tells who asks by which address it sees them, and
    `reveals_keys` says whether texts of keys may be seen again. `tools` are behind tool skills.
    """

    version: str
    database: Database
    backups: Backups
    journal: Drainer
    configuration: Configuration
    admission: Admission
    live: Live
    policy: Policy
    ledger: Ledger
    sessions: Sessions
    chat: ChatPipeline
    metrics: Metrics
    payloads: PayloadLog
    quota_desk: QuotaDesk
    search_desk: SearchDesk
    quota_watch: QuotaWatch
    logins: Logins
    callbacks: Callbacks
    env_file: EnvFile
    kept: Mapping[str, Keep]
    price_lists: PriceLists
    cloud: CloudServer
    webhooks: Webhooks
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    new_api_key: Callable[[], str]
    installation: Secrets
    key_rotation: Rotation
    session_secret: SessionSecret
    data_dir: Path
    started_at_ms: int
    key_storage: str = field(default="healthy")
    proxy_test_url: str = ""
    reveals_keys: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    tools: ToolRegistry = field(default_factory=ToolRegistry)
    agent_ids: frozenset[str] = frozenset()
    descriptions: Descriptions = field(default_factory=Descriptions)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    @property
    def snapshot(self) -> Snapshot:
        """The configuration new requests see."""
        return self.configuration.snapshot

    @property
    def health(self) -> Health:
        """The fitness of providers, accounts and models."""
        return self.live.health
