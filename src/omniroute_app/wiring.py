"""Builds one engine from settings, and takes it apart again."""

import secrets
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from omniroute import __version__
from omniroute.clock import now_ms
from omniroute.engine import Configuration, Engine
from omniroute.pipeline.admission import Admission
from omniroute.pipeline.attempt import Limits
from omniroute.pipeline.chat import ChatPipeline
from omniroute.pipeline.ledger import Ledger
from omniroute.pipeline.recall import Recall
from omniroute.routing.health import Health
from omniroute.storage.database import Database
from omniroute.storage.drainer import Drainer
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.key_text import key_hash, new_api_key
from omniroute.storage.secrets import Secrets
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.demo.sender import DemoSender
from omniroute.upstream.gate import Gate
from omniroute.upstream.send import Timeouts
from omniroute_app.discovery import accounts_from_environment, local_servers
from omniroute_app.settings import Settings


@asynccontextmanager
async def open_engine(settings: Settings, environ: Mapping[str, str]) -> AsyncGenerator[Engine]:
    """An engine with its database open, its journal draining and its configuration loaded.

    Raises:
        OmniRouteError: the data directory or the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = Secrets.load_or_create(settings.data_dir, environ)
        gate = Gate(user_agent=f"omniroute/{__version__}")
        stack.push_async_callback(gate.aclose)
        found = []
        if settings.discover:
            found = accounts_from_environment(environ) + await local_servers(gate)
        database = await Database.open(database_url(settings), settings.data_dir, keys.box())
        stack.push_async_callback(database.close)
        journal = Journal(settings.data_dir / "journal")
        drainer = await stack.enter_async_context(Drainer(journal, sql_sink(database)))
        configuration = Configuration(database, found, spellings=settings.model_spellings)
        await configuration.load()
        health = Health(now_ms)
        ledger = Ledger()
        require_key = settings.require_api_key
        yield Engine(
            version=__version__,
            database=database,
            journal=drainer,
            configuration=configuration,
            admission=Admission(
                hash_key=partial(key_hash, keys.api_key_secret),
                now_ms=now_ms,
                env_key=settings.api_key,
                require_key=not settings.is_loopback_bind if require_key is None else require_key,
            ),
            health=health,
            ledger=ledger,
            chat=ChatPipeline(
                snapshot=lambda: configuration.snapshot,
                health=health,
                ledger=ledger,
                recall=Recall(now_ms),
                record=journal.append,
                gate=gate,
                demo=DemoSender(),
                credentials=Credentials(gate, now_ms),
                now_ms=now_ms,
                new_seed=partial(secrets.randbits, 48),
                limits=_limits(settings),
                allow_private=_allow_private(settings),
            ),
            now_ms=now_ms,
            new_id=lambda: str(uuid.uuid4()),
            new_api_key=partial(
                new_api_key, keys.machine_id, keys.api_key_secret, secrets.token_bytes
            ),
            machine_id=keys.machine_id,
            started_at_ms=now_ms(),
        )


def database_url(settings: Settings) -> str:
    """Where the database is: as told, else a SQLite file in the data directory."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'omniroute.db'}"


def _allow_private(settings: Settings) -> bool:
    # Whoever can configure a loopback gateway can reach this network without it.
    told = settings.allow_private_provider_urls
    return settings.is_loopback_bind if told is None else told


def _limits(settings: Settings) -> Limits:
    return Limits(
        timeouts=Timeouts(
            connect_s=_seconds(settings.connect_timeout_ms),
            headers_s=_seconds(settings.request_timeout_ms),
            idle_s=_seconds(settings.stream_idle_timeout_ms),
        ),
        readiness_s=_seconds(settings.stream_readiness_timeout_ms),
    )


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None
