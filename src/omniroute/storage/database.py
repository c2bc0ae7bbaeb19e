"""The durable store: opens it, and hands out units of work."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from omniroute.errors import StorageUnavailable
from omniroute.storage.access import AccessRepository, LockoutRepository
from omniroute.storage.affinity import AffinityRepository
from omniroute.storage.agents import AgentRepository
from omniroute.storage.audit import AuditRepository
from omniroute.storage.audit_log import AuditLogRepository
from omniroute.storage.budgets import BudgetRepository, LeaseRepository
from omniroute.storage.call_logs import CallLogRepository
from omniroute.storage.changes import Changes
from omniroute.storage.combos import ComboRepository
from omniroute.storage.compression import (
    CompressionAnalyticsRepository,
    CompressionComboRepository,
)
from omniroute.storage.connections import ConnectionRepository
from omniroute.storage.engines import create_engines
from omniroute.storage.failures import translated
from omniroute.storage.handoffs import HandoffRepository
from omniroute.storage.keys import KeyRepository
from omniroute.storage.mappings import MappingRepository
from omniroute.storage.mcp_tasks import McpTaskRepository
from omniroute.storage.memories import MemoryRepository
from omniroute.storage.migrate import state, upgrade
from omniroute.storage.model_names import ModelNameRepository
from omniroute.storage.nodes import NodeRepository
from omniroute.storage.oauth import OAuthStateRepository, RefreshLeaseRepository
from omniroute.storage.payloads import PayloadRepository
from omniroute.storage.pins import PinRepository
from omniroute.storage.prices import PriceRepository
from omniroute.storage.proxies import (
    LayeredProxyRepository,
    ProxyLogRepository,
    ProxyRepository,
)
from omniroute.storage.push import PushRepository
from omniroute.storage.quotas import QuotaRepository
from omniroute.storage.rates import RateRepository
from omniroute.storage.response_cache import ResponseCacheRepository
from omniroute.storage.responses import ResponseRepository
from omniroute.storage.retention import RetentionRepository
from omniroute.storage.runs import RunRepository
from omniroute.storage.sealed import SealedRepository
from omniroute.storage.sealing import Sealer
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.sessions import SessionRepository
from omniroute.storage.settings import SettingsRepository
from omniroute.storage.skills import ExecutionRepository, SkillRepository
from omniroute.storage.states import StateRepository
from omniroute.storage.sync_tokens import SyncTokenRepository
from omniroute.storage.synced_prices import SyncedPriceRepository
from omniroute.storage.tables import health_states, rotation_states
from omniroute.storage.tasks import TaskRepository
from omniroute.storage.traces import TraceRepository
from omniroute.storage.usage import UsageRepository
from omniroute.storage.usage_rollups import RollupRepository
from omniroute.storage.whole import WholeDatabase


class Work:
    """One transaction, seen as repositories. `details` are what the audit log will say of it."""

    def __init__(self, connection: AsyncConnection, box: SecretBox) -> None:
        sealer = Sealer(connection, box)
        self.details: dict[str, Any] = {}
        self.changes = Changes()
        self.connections = ConnectionRepository(connection, sealer)
        self.nodes = NodeRepository(connection, sealer)
        self.combos = ComboRepository(connection)
        self.keys = KeyRepository(connection, sealer)
        self.access = AccessRepository(connection)
        self.lockouts = LockoutRepository(connection)
        self.settings = SettingsRepository(connection)
        self.model_names = ModelNameRepository(connection, sealer)
        self.mappings = MappingRepository(connection)
        self.usage = UsageRepository(connection)
        self.rollups = RollupRepository(connection)
        self.traces = TraceRepository(connection)
        self.calls = CallLogRepository(connection)
        self.payloads = PayloadRepository(connection)
        self.audit = AuditRepository(connection)
        self.audit_log = AuditLogRepository(connection)
        self.tasks = TaskRepository(connection)
        self.mcp_tasks = McpTaskRepository(connection)
        self.push = PushRepository(connection, sealer)
        self.responses = ResponseRepository(connection)
        self.handoffs = HandoffRepository(connection)
        self.response_cache = ResponseCacheRepository(connection)
        self.prices = PriceRepository(connection)
        self.synced_prices = SyncedPriceRepository(connection)
        self.budgets = BudgetRepository(connection)
        self.leases = LeaseRepository(connection)
        self.health = StateRepository(connection, health_states)
        self.rotations = StateRepository(connection, rotation_states)
        self.affinity = AffinityRepository(connection)
        self.pins = PinRepository(connection)
        self.rates = RateRepository(connection)
        self.sessions = SessionRepository(connection)
        self.quotas = QuotaRepository(connection)
        self.whole = WholeDatabase(connection)
        self.sealed = SealedRepository(connection, sealer)
        self.retention = RetentionRepository(connection)
        self.proxies = ProxyRepository(connection, sealer)
        self.layered_proxies = LayeredProxyRepository(connection, sealer)
        self.proxy_logs = ProxyLogRepository(connection)
        self.oauth_states = OAuthStateRepository(connection, sealer)
        self.sync_tokens = SyncTokenRepository(connection)
        self.refresh_leases = RefreshLeaseRepository(connection)
        self.memories = MemoryRepository(connection)
        self.skills = SkillRepository(connection)
        self.executions = ExecutionRepository(connection)
        self.runs = RunRepository(connection)
        self.compression_combos = CompressionComboRepository(connection)
        self.compression = CompressionAnalyticsRepository(connection)
        self.agents = AgentRepository(connection)


def _execute_outside(connection: Connection, statement: str) -> None:
    """Past SQLAlchemy, whose connection would begin a transaction, in which these cannot run."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    except sqlite3.Error as error:
        raise StorageUnavailable(
            "The database cannot be tidied up right now: another process writes, or the disk has no"
            " room for a copy."
        ) from error
    finally:
        cursor.close()


class Database:
    """A SQLite file or a PostgreSQL database, migrated to the schema of this version.

    SQLite has one writer at a time: `work` waits its turn, `reading` never waits for it.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, box: SecretBox) -> None:
        self._writer = writer
        self._reader = reader
        self._box = box
        # Waiting here is fair and free; waiting inside SQLite is polling.
        self._turn = asyncio.Lock() if writer.dialect.name == "sqlite" else None

    @classmethod
    async def open(
        cls,
        url: str,
        data_dir: Path,
        box: SecretBox,
        before_migration: Callable[["Database"], Awaitable[None]] | None = None,
    ) -> "Database":
        """Open the database and bring its schema up to date.

        Args:
            url: `sqlite:///path`, `postgresql://...` or `postgres://...`.
            data_dir: where the lock lies that lets one process at a time migrate a SQLite file.
            before_migration: called before the schema of a database that holds something
                changes, with the database in its old schema; what it raises stops the migration.

        Raises:
            InvalidRequest: the URL names no database this gateway can use.
            StorageUnavailable: the database cannot be reached, or a newer version wrote it.
        """
        writer, reader = create_engines(url)
        database = cls(writer, reader, box)

        async def before() -> None:
            if before_migration is not None:
                await before_migration(database)

        try:
            with translated():
                await upgrade(writer, data_dir, before)
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    def connect(cls, url: str, box: SecretBox) -> "Database":
        """The database in the schema it has, for looking and copying.

        Raises:
            InvalidRequest: the URL names no database this gateway can use.
            StorageUnavailable: the SQLite file cannot be opened.
        """
        return cls(*create_engines(url), box)

    async def state(self) -> str:
        """Its revision; `empty`, or `foreign` where it has only somebody else's tables.

        Raises:
            StorageUnavailable: it cannot be read, is of a newer version, or half of something.
        """
        with translated():
            async with self._reader.connect() as connection:
                return await connection.run_sync(state)

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two databases this is."""
        return "sqlite" if self._writer.dialect.name == "sqlite" else "postgresql"

    @property
    def sqlite_path(self) -> Path | None:
        """The file, where the database is one."""
        return Path(str(self._writer.url.database)) if self.kind == "sqlite" else None

    @property
    def reader(self) -> AsyncEngine:
        """The engine for reading, for what copies whole databases."""
        return self._reader

    async def close(self) -> None:
        """Close all connections. Units of work must have ended."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    async def vacuum(self) -> None:
        """Give the room of removed rows back to the disk; writers wait.

        Raises:
            StorageUnavailable: another process writes, or there is no room to do it.
        """
        async with AsyncExitStack() as stack:
            if self._turn is not None:
                await stack.enter_async_context(self._turn)
            stack.enter_context(translated())
            connection = await stack.enter_async_context(self._writer.connect())
            if self.kind == "postgresql":
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.exec_driver_sql("VACUUM (ANALYZE)")
            else:
                await connection.run_sync(_execute_outside, "VACUUM")
                await connection.run_sync(_execute_outside, "PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def work(self) -> AsyncGenerator[Work]:
        """Open a transaction for writing. Commits on a clean exit, rolls back on an exception.

        Raises:
            Conflict: a write collides with something that exists.
            StorageUnavailable: the database cannot be reached, or is locked or full.
        """
        async with AsyncExitStack() as stack:
            if self._turn is not None:
                await stack.enter_async_context(self._turn)
            stack.enter_context(translated())
            connection = await stack.enter_async_context(self._writer.begin())
            work = Work(connection, self._box)
            work.changes.listen(connection)
            try:
                yield work
            finally:
                work.changes.hush(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Work]:
        """Open a transaction that may only read and sees one moment of the database; on SQLite
        it does not wait for writers.

        Raises:
            StorageUnavailable: the database cannot be reached.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(translated())
            connection = await stack.enter_async_context(self._reader.connect())
            if connection.dialect.name == "postgresql":  # SQLite sees one moment anyway
                await connection.execution_options(
                    postgresql_readonly=True, isolation_level="REPEATABLE READ"
                )
            await stack.enter_async_context(connection.begin())
            yield Work(connection, self._box)
