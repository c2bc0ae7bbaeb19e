"""Builds one engine from settings, and takes it apart again."""

import secrets
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from omniroute import __version__
from omniroute.caller import on_behalf
from omniroute.catalog.fitness import from_file
from omniroute.catalog.price_documents import SOURCES, SourceId
from omniroute.clock import now_ms
from omniroute.engine import Configuration, Engine
from omniroute.errors import InvalidRequest
from omniroute.operations.compression.combos import prepare_compression
from omniroute.operations.search.asked import SearchInput
from omniroute.operations.search.results import SearchReply
from omniroute.operations.search.search import web_search
from omniroute.operations.skills.built_in import prepare_skills
from omniroute.operations.storage.reference_files import ReferenceFiles
from omniroute.operations.storage.retention import kept_by_default
from omniroute.pipeline.accounts.callbacks import Callbacks
from omniroute.pipeline.accounts.logins import Logins
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.accounts.quota_watch import QuotaWatch
from omniroute.pipeline.accounts.slots import Turnstiles
from omniroute.pipeline.attempt import Limits as AttemptLimits
from omniroute.pipeline.callers.admission import Admission
from omniroute.pipeline.callers.key_policy import default_rules
from omniroute.pipeline.callers.key_uses import KeyUses
from omniroute.pipeline.callers.rates import Rates
from omniroute.pipeline.callers.sessions import Sessions
from omniroute.pipeline.chat import ChatPipeline
from omniroute.pipeline.compression.descriptions import Descriptions
from omniroute.pipeline.entrance import Entrance
from omniroute.pipeline.handoffs.handoff_table import HandoffTable
from omniroute.pipeline.handoffs.relay import ContextRelay
from omniroute.pipeline.keepers.health_keeper import HealthKeeper
from omniroute.pipeline.keepers.live_keepers import (
    AffinityKeeper,
    KeyUseKeeper,
    PinKeeper,
    RotationKeeper,
    SessionKeeper,
)
from omniroute.pipeline.keepers.proxy_log import ProxyLogKeeper, ProxyUses
from omniroute.pipeline.metrics import Metrics
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.payloads import PayloadLog
from omniroute.pipeline.planning import Patience
from omniroute.pipeline.reuse.answers import Answers
from omniroute.pipeline.reuse.idempotency import Idempotency
from omniroute.pipeline.reuse.recall import Recall
from omniroute.pipeline.reuse.response_cache import CacheLimits, ResponseCache
from omniroute.pipeline.reuse.sharing import Sharing
from omniroute.pipeline.search.desk import SearchDesk
from omniroute.pipeline.search.kept import KeptSearches
from omniroute.pipeline.settlement import Observer
from omniroute.pipeline.telemetry import Telemetry
from omniroute.routing.environment_proxies import read_environment
from omniroute.routing.live import Live
from omniroute.routing.oauth_clients import OAuthClients
from omniroute.routing.proxying import Outbound
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.resilience.profiles import (
    BreakerRule,
    Breakers,
    Defaults,
    RequestQueue,
    Resilience,
    WaitForCooldown,
)
from omniroute.routing.scoring.measured import MOST_RESTORED, WINDOW_MS
from omniroute.skills.tool import ToolCall
from omniroute.storage.backups.files import BackupFolder
from omniroute.storage.backups.manifest import Keyring
from omniroute.storage.backups.store import Backups, Limits
from omniroute.storage.cache_table import CacheTable
from omniroute.storage.database import Database
from omniroute.storage.drainer import Drainer
from omniroute.storage.env_file import EnvFile
from omniroute.storage.holders import Holder
from omniroute.storage.journal import Journal, sql_sink
from omniroute.storage.key_files import KeyFiles
from omniroute.storage.key_text import key_hash, new_api_key
from omniroute.storage.quota_history import QuotaHistory
from omniroute.storage.rate_table import RateTable
from omniroute.storage.rotation import Rotation
from omniroute.storage.secret_box import SecretBox
from omniroute.storage.secrets import Secrets
from omniroute.storage.session_secret import SessionSecret
from omniroute.storage.session_table import SessionTable
from omniroute.storage.vault import SqlVault
from omniroute.upstream.cloud_server import CloudServer
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.demo.sender import DemoSender
from omniroute.upstream.gate import Gate
from omniroute.upstream.pools import ProxyLimits
from omniroute.upstream.price_lists import PriceLists
from omniroute.upstream.send import Timeouts
from omniroute.upstream.webhooks import Webhooks
from omniroute_agents import SKILLS
from omniroute_agents.tools import built_in
from omniroute_app.discovery import accounts_from_environment, local_servers
from omniroute_app.logs import log_request
from omniroute_app.settings import Settings, listed, with_env_file
from omniroute_app.tracing import Traces, wanted


@asynccontextmanager
async def open_engine(settings: Settings, environ: Mapping[str, str]) -> AsyncGenerator[Engine]:
    """An engine with its database open, its journal draining and its configuration loaded.

    Raises:
        OmniRouteError: the data directory or the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        env_file = EnvFile(settings.data_dir, environ)
        environ = with_env_file(environ, settings.data_dir)
        keys = Secrets.load_or_create(settings.data_dir, environ)
        key_files = KeyFiles(settings.data_dir, environ)
        box = key_files.box()
        session_secret = SessionSecret(settings.data_dir, environ)
        proxy_uses = ProxyUses(now_ms, lambda: str(uuid.uuid4()))
        gate = Gate(
            user_agent=f"omniroute/{__version__}",
            limits=ProxyLimits(
                dial_s=settings.proxy_dial_timeout_ms / 1000, rest_s=settings.proxy_rest_ms / 1000
            ),
            noted=proxy_uses.note,
        )
        stack.push_async_callback(gate.aclose)
        found = []
        if settings.discover:
            found = accounts_from_environment(environ) + await local_servers(gate)
        hash_key = partial(key_hash, keys.api_key_secret)
        backups = open_backups(settings, box, keys.api_key_secret)
        database = await Database.open(
            database_url(settings), settings.data_dir, box, backups.before_migration
        )
        stack.push_async_callback(database.close)
        journal = Journal(settings.data_dir / "journal")
        sink = sql_sink(database)

        async def recover() -> set[str]:
            await journal.recover(sink)
            return journal.processes()

        key_rotation = Rotation(database, key_files, box)
        await stack.enter_async_context(key_rotation.resuming())
        holder = Holder(settings.data_dir, keys.machine_id)
        stack.callback(holder.close)
        vault = SqlVault(database, holder, recover, now_ms)
        ledger = Ledger(now_ms, vault)
        stack.push_async_callback(ledger.give_back, everything=True)
        rates = Rates(now_ms, RateTable(database))
        stack.push_async_callback(rates.give_back, everything=True)

        async def give_back() -> None:
            await ledger.give_back()
            await rates.give_back()

        drainer = await stack.enter_async_context(Drainer(journal, sink))
        await stack.enter_async_context(vault.kept(give_back))
        configuration = Configuration(
            database,
            found,
            spellings=settings.model_spellings,
            fitness=from_file(settings.fitness_file) if settings.fitness_file else None,
            before_change=partial(backups.before_change, database),
            outbound=_outbound(settings),
        )
        configuration.watch(lambda snapshot: gate.keep_only(snapshot.proxying.in_use))
        await configuration.load()
        log_keeper = ProxyLogKeeper(proxy_uses, database)
        await stack.enter_async_context(log_keeper)
        reload_s = settings.config_hot_reload_ms / 1000
        await stack.enter_async_context(configuration.following(reload_s))
        policy = Policy(lambda: configuration.snapshot, _resilience(settings))
        health = Health(now_ms, policy.profile)
        configuration.watch(lambda _: health.retuned())
        keeper = HealthKeeper(health, database)
        await keeper.load(configuration.snapshot.connections)
        await stack.enter_async_context(keeper)
        quotas = Quotas(now_ms, policy.quota_rules)
        live = Live.fresh(now_ms, health, quotas)
        known = configuration.snapshot.connections
        affinity = AffinityKeeper(live.affinity, database, now_ms)
        await affinity.load(known)
        await stack.enter_async_context(affinity)
        rotation = RotationKeeper(live.rotation, database)
        await rotation.load(known)
        await stack.enter_async_context(rotation)
        pins = PinKeeper(live.pins, database, now_ms)
        await pins.load()
        await stack.enter_async_context(pins)
        configuration.watch(lambda snapshot: live.forget_all_but(snapshot.connections))
        sessions = Sessions(now_ms, SessionTable(database))
        session_keeper = SessionKeeper(sessions, database, now_ms)
        await session_keeper.load()
        await stack.enter_async_context(session_keeper)
        key_uses = KeyUses(now_ms)
        await stack.enter_async_context(KeyUseKeeper(key_uses, database))
        history = QuotaHistory(database, lambda: str(uuid.uuid4()))
        for connection, (at_ms, report) in (await history.latest()).items():
            quotas.report(connection, report, at_ms)
        demo, credentials = DemoSender(), Credentials(gate, now_ms)
        logins = Logins(
            snapshot=lambda: configuration.snapshot,
            database=database,
            noted=configuration.noted,
            clients=OAuthClients(environ),
            sender=gate,
            health=health,
            holder=holder.name,
            now_ms=now_ms,
            allow_private=_allow_private(settings),
            timeout_s=settings.oauth_timeout_ms / 1000,
        )
        configuration.watch(logins.seen)
        logins.seen(configuration.snapshot)
        stack.push_async_callback(logins.aclose)
        callbacks = Callbacks(settings.public_url, now_ms)
        stack.push_async_callback(callbacks.aclose)
        through = Asking(
            gate,
            demo,
            credentials,
            _allow_private(settings),
            lambda account: configuration.snapshot.proxying.route(account),
            logins,
        )
        desk = QuotaDesk(lambda: configuration.snapshot, quotas, through, now_ms, history.keep)
        stack.push_async_callback(desk.aclose)
        watch = QuotaWatch(
            desk, policy.quota_rules, lambda one: live.rotation.use(one).last_used_ms
        )
        await stack.enter_async_context(watch.running())
        async with database.reading() as work:
            live.measured.restore(await work.usage.recent(now_ms() - WINDOW_MS, MOST_RESTORED))
        cache = ResponseCache(now_ms, CacheTable(database, now_ms), _cache_limits(settings))
        async with database.reading() as work:
            cache.know(await work.response_cache.names(now_ms()))
        stack.push_async_callback(cache.settled)
        handoffs = HandoffTable(database, now_ms)
        relay = ContextRelay(now_ms, quotas.of, lambda: str(uuid.uuid4()), handoffs)
        relay.restore(await handoffs.all())
        stack.callback(relay.stop)
        metrics = Metrics()
        payloads = PayloadLog(database, lambda: configuration.snapshot.payload_policy, now_ms)
        await stack.enter_async_context(payloads)
        traced: list[Observer] = []
        collector = wanted(environ)
        if collector is not None:
            traces = Traces(collector, environ, gate)
            stack.push_async_callback(traces.aclose)
            traced.append(traces.observe)
        if settings.log_level.lower() in ("debug", "info"):
            traced.append(log_request)
        search_desk = SearchDesk(
            snapshot=lambda: configuration.snapshot,
            health=health,
            ledger=ledger,
            rates=rates,
            through=through,
            record=journal.append,
            now_ms=now_ms,
            kept=KeptSearches(now_ms),
            fresh_ms=settings.search_cache_ttl_ms,
        )

        async def searching(call: ToolCall, asked: SearchInput) -> SearchReply:
            owner = engine.admission.owner(engine.snapshot, call.caller.door, call.owner)
            return await web_search(engine, on_behalf(owner, call.caller), asked, call.report)

        require_key = settings.require_api_key
        engine = Engine(
            version=__version__,
            database=database,
            backups=backups,
            journal=drainer,
            configuration=configuration,
            admission=Admission(
                hash_key=hash_key,
                now_ms=now_ms,
                env_key=settings.api_key,
                require_key=not settings.is_loopback_bind if require_key is None else require_key,
                default_rules=default_rules(settings.default_requests_per_day),
                unlogged=frozenset(listed(settings.no_log_keys)),
                used=key_uses.used,
            ),
            live=live,
            policy=policy,
            ledger=ledger,
            sessions=sessions,
            chat=ChatPipeline(
                snapshot=lambda: configuration.snapshot,
                live=live,
                ledger=ledger,
                entrance=Entrance(rates, sessions, ledger),
                recall=Recall(now_ms),
                answers=Answers(cache, Idempotency(now_ms), Sharing()),
                record=journal.append,
                telemetry=Telemetry(now_ms),
                observers=(metrics.observe, payloads.observe, *traced),
                gate=gate,
                demo=demo,
                credentials=credentials,
                now_ms=now_ms,
                new_seed=partial(secrets.randbits, 48),
                limits=_limits(settings),
                turnstiles=Turnstiles(policy, quotas, now_ms),
                relay=relay,
                allow_private=_allow_private(settings),
                patience=lambda: _patience(policy.settings.wait_for_cooldown),
                quotas=desk,
                logins=logins,
            ),
            metrics=metrics,
            payloads=payloads,
            quota_desk=desk,
            search_desk=search_desk,
            quota_watch=watch,
            logins=logins,
            callbacks=callbacks,
            env_file=env_file,
            kept=kept_by_default(
                settings.app_log_days,
                settings.call_log_days,
                settings.call_log_rows,
                settings.proxy_log_rows,
            ),
            price_lists=_price_lists(settings, gate, configuration),
            cloud=CloudServer(
                gate=gate,
                default_url=settings.cloud_url.strip(),
                machine_id=keys.machine_id,
                timeout_s=settings.cloud_sync_timeout_ms / 1000,
                allow_private=_allow_private(settings),
                via=lambda url: configuration.snapshot.proxying.of_provider(None).to(url),
            ),
            webhooks=Webhooks(
                gate=gate,
                secret=keys.webhook_secret,
                via=lambda url: configuration.snapshot.proxying.of_provider(None).to(url),
            ),
            now_ms=now_ms,
            new_id=lambda: str(uuid.uuid4()),
            new_api_key=partial(
                new_api_key, keys.machine_id, keys.api_key_secret, secrets.token_bytes
            ),
            installation=keys,
            key_rotation=key_rotation,
            session_secret=session_secret,
            data_dir=settings.data_dir,
            reveals_keys=settings.allow_api_key_reveal,
            environ=environ,
            started_at_ms=now_ms(),
            proxy_test_url=settings.proxy_test_url,
            agent_ids=frozenset(SKILLS),
            tools=built_in(
                gate,
                searching,
                settings.data_dir,
                lambda url: configuration.snapshot.proxying.of_provider(None).to(url),
                max_file_bytes=settings.skills_max_file_bytes,
                max_response_bytes=settings.skills_max_response_bytes,
                time_limit_s=settings.skills_timeout_ms / 1000,
                holder=holder.name,
                dead=holder.dead,
            ),
            descriptions=Descriptions(
                allowed=settings.mcp_compress_descriptions and settings.mcp_description_compression
            ),
        )
        await prepare_skills(engine)
        await prepare_compression(engine)
        yield engine


def database_url(settings: Settings) -> str:
    """Where the database is: as told, else a SQLite file in the data directory."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'omniroute.db'}"


def open_backups(settings: Settings, box: SecretBox, api_key_secret: str) -> Backups:
    """The backups of the data directory."""
    reference = ReferenceFiles(box, partial(key_hash, api_key_secret), now_ms)
    return Backups(
        folder=BackupFolder(settings.data_dir),
        keyring=Keyring.of(box, api_key_secret),
        now_ms=now_ms,
        translate=reference.translate,
        limits=Limits(
            max_files=settings.backup_max_files,
            retention_days=settings.backup_retention_days,
            automatic=not settings.disable_auto_backup,
        ),
    )


def _allow_private(settings: Settings) -> bool:
    # Whoever can configure a loopback gateway can reach this network without it.
    told = settings.allow_private_provider_urls
    return settings.is_loopback_bind if told is None else told


def _outbound(settings: Settings) -> Outbound:
    """What the environment says about proxies."""
    return Outbound(
        environment=read_environment(
            settings.https_proxy, settings.http_proxy, settings.all_proxy, settings.no_proxy
        ),
        socks5=settings.socks5_proxies is not False,
        allow_private=_allow_private(settings),
    )


def _price_lists(settings: Settings, gate: Gate, configuration: Configuration) -> PriceLists:
    chosen = tuple(dict.fromkeys(listed(settings.pricing_sync_sources)))
    sources = tuple(name for name in SOURCES if name in chosen)
    if len(sources) != len(chosen) or not sources:
        raise InvalidRequest(
            f"PRICING_SYNC_SOURCES must be one or more of {', '.join(SOURCES)}, by comma.",
            param="PRICING_SYNC_SOURCES",
        )
    urls: dict[SourceId, str | None] = {
        "litellm": settings.pricing_sync_litellm_url,
        "modelsDev": settings.pricing_sync_models_dev_url,
    }
    return PriceLists(
        gate=gate,
        enabled=settings.pricing_sync_enabled,
        sources=sources,
        interval_s={
            "litellm": settings.pricing_sync_interval_s,
            "modelsDev": settings.models_dev_sync_interval_s,
        },
        urls={name: url for name, url in urls.items() if url is not None},
        allow_private=_allow_private(settings),
        via=lambda url: configuration.snapshot.proxying.of_provider(None).to(url),
    )


def _cache_limits(settings: Settings) -> CacheLimits:
    return CacheLimits(
        entries=settings.semantic_cache_max_size,
        bytes=settings.semantic_cache_max_bytes,
        ttl_ms=settings.semantic_cache_ttl_ms,
    )


def _patience(rules: WaitForCooldown) -> Patience:
    return Patience(rules.max_retries if rules.on else 0, rules.max_retry_wait_sec)


def _resilience(settings: Settings) -> Defaults:
    return Defaults(
        settings=Resilience(
            request_queue=RequestQueue(max_wait_ms=settings.queue_max_wait_ms),
            provider_breaker=Breakers(
                oauth=BreakerRule(
                    failure_threshold=settings.breaker_oauth_threshold,
                    reset_timeout_ms=settings.breaker_oauth_reset_ms,
                ),
                apikey=BreakerRule(
                    failure_threshold=settings.breaker_api_key_threshold,
                    reset_timeout_ms=settings.breaker_api_key_reset_ms,
                ),
            ),
        ),
        protect_api_keys=settings.protect_api_keys,
        local_breaker=BreakerRule(
            failure_threshold=settings.breaker_local_threshold,
            reset_timeout_ms=settings.breaker_local_reset_ms,
        ),
    )


def _limits(settings: Settings) -> AttemptLimits:
    return AttemptLimits(
        timeouts=Timeouts(
            connect_s=_seconds(settings.connect_timeout_ms),
            headers_s=_seconds(settings.request_timeout_ms),
            idle_s=_seconds(settings.stream_idle_timeout_ms),
        ),
        readiness_s=_seconds(settings.stream_readiness_timeout_ms),
    )


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None
