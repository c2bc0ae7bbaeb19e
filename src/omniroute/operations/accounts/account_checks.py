"""Does an account work? Asked of its provider, told with a diagnosis, kept. Source: 02 §4.6-4.7."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.catalog.provider import Provider
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, UpstreamFailed, ValidationFailed
from omniroute.operations.access.audit import note
from omniroute.operations.accounts.account_options import checked_options, merged_options
from omniroute.operations.accounts.connections import (
    known_account,
    known_provider,
)
from omniroute.pipeline.accounts.logins import Kind as LoginKind
from omniroute.pipeline.accounts.logins import LoginFailed
from omniroute.pipeline.accounts.probe import Diagnosis, Method, Probed, Source, probe
from omniroute.routing.resilience.policy import category_of
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import Connection
from omniroute.storage.records.usage import CallRow

TEST_MODEL = "connection-test"
AT_ONCE = 5
PATIENCE_S = 30.0

Mode: TypeAlias = Literal[
    "provider",
    "oauth",
    "free",
    "apikey",
    "compatible",
    "all",
    "search",
    "audio",
    "local",
    "cloud-agent",
]


class CheckInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """How to test. `validation_model_id` is asked for one token instead of a list of models."""

    validation_model_id: Annotated[str, Meta(max_length=500)] | None = None


class DiagnosisView(Struct, frozen=True, kw_only=True):
    """What a test found. `code` is the upstream's status, or what stands for one."""

    type: Diagnosis
    source: Source
    code: str | None
    message: str


class CheckReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a test. Times are ISO-8601 and milliseconds."""

    valid: bool
    error: str | None
    warning: str | None
    refreshed: bool
    diagnosis: DiagnosisView
    latency_ms: int
    status_code: int | None
    runtime: None
    tested_at: str


class KeyCheck(Struct, frozen=True, kw_only=True, rename="camel"):
    """A credential that is tried before it is stored."""

    provider: Annotated[str, Meta(min_length=1, max_length=120)]
    api_key: Annotated[str, Meta(max_length=10_000)] | None = None
    validation_model_id: Annotated[str, Meta(max_length=500)] | None = None
    custom_user_agent: Annotated[str, Meta(max_length=500)] | None = None
    base_url: Annotated[str, Meta(max_length=2_000)] | None = None
    cx: Annotated[str, Meta(max_length=500)] | None = None


class KeyVerdict(Struct, frozen=True, kw_only=True):
    """Whether a credential is taken, and how that was found out."""

    valid: bool
    error: str | None
    warning: str | None
    method: Method | None


class BatchInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which active accounts to test. `provider_id` is for the mode `provider`."""

    mode: Mode
    provider_id: Annotated[str, Meta(max_length=120)] | None = None


class BatchLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of one account's test."""

    provider: str
    connection_id: str
    connection_name: str
    auth_type: str
    valid: bool
    latency_ms: int
    error: str | None
    diagnosis: DiagnosisView
    status_code: int | None
    tested_at: str


class BatchSummary(Struct, frozen=True, kw_only=True):
    """How many were tested, and what came of it."""

    total: int
    passed: int
    failed: int


class BatchReport(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The tests of several accounts; without a summary where there was nobody to test."""

    mode: Mode
    results: tuple[BatchLine, ...]
    tested_at: str
    provider_id: str | None
    summary: BatchSummary | None = None


async def check_connection(
    engine: Engine, caller: Caller, connection_id: str, how: CheckInput
) -> CheckReport:
    """Ask the provider of an account whether it takes its credential; the answer is kept.

    A credential that is taken ends every pause of its account.

    Raises:
        NotFound: there is none with this id.
    """
    account = known_account(engine, connection_id)
    asked = (how.validation_model_id or "").strip() or None
    report = await examined(engine, account, asked)
    await keep(engine, [(account.id, report)])
    return report


async def examined(engine: Engine, account: Connection, asked: str | None = None) -> CheckReport:
    """What a test of an account finds; nothing changes by it."""
    provider = engine.snapshot.providers.get(account.provider)
    started_ms = engine.now_ms()
    refreshed = False
    try:
        fresh = await engine.logins.fresh(account)
        refreshed = fresh.access_token != account.access_token
        found = await _probed(engine, provider, fresh, asked)
        if found.status == 401 and engine.logins.renewable(fresh):
            fresh = await engine.logins.renewed(fresh, refused=True)
            refreshed = True
            found = await _probed(engine, provider, fresh, asked)
    except LoginFailed as error:
        found = Probed(_NO_TOKEN[error.kind], "oauth", str(error))
    return CheckReport(
        valid=found.valid,
        error=None if found.valid else found.message,
        warning=found.warning,
        refreshed=refreshed,
        diagnosis=DiagnosisView(
            type=found.diagnosis,
            source=found.source,
            code=found.code,
            message=found.message,
        ),
        latency_ms=engine.now_ms() - started_ms,
        status_code=found.status,
        runtime=None,
        tested_at=iso(engine.now_ms()),
    )


async def keep(
    engine: Engine, reports: Sequence[tuple[str, CheckReport]], *, in_background: bool = False
) -> None:
    """Keep what tests found with their accounts, and in the call log.

    A check in the background does not revive an account without credit: its provider lists
    models to anybody who asks.
    """
    async with engine.configuration.noted() as work:
        for connection_id, report in reports:
            account = await work.connections.get(connection_id)
            if account is not None:
                fields = _outcome(report)
                if in_background:
                    fields["last_health_check_at"] = report.tested_at
                await work.connections.save(replace(account, **fields))
            else:
                account = engine.snapshot.connections.get(connection_id)
            if account is not None:
                await work.calls.add([_call(engine, account, report)])
    cooldowns = engine.health.view().cooldowns
    for connection_id, report in reports:
        rest = cooldowns.get(connection_id)
        broke = rest is not None and rest.terminal == "credits_exhausted"
        if report.valid and not (in_background and broke):
            engine.health.revive(connection_id)
            engine.chat.turnstiles.start_afresh([connection_id])


async def validate_key(engine: Engine, caller: Caller, wanted: KeyCheck) -> KeyVerdict:
    """Try a credential without storing it.

    Raises:
        InvalidRequest: the provider is not known or cannot be asked, or the address is refused.
        NotFound: `provider` looks like a node id and no such node exists.
        UpstreamFailed: the upstream cannot be reached.
    """
    provider_id = known_provider(engine, wanted.provider.strip())
    provider = engine.snapshot.providers[provider_id]
    options = {
        "baseUrl": (wanted.base_url or "").strip() or None,
        "customUserAgent": wanted.custom_user_agent,
        "cx": wanted.cx,
    }
    account = Connection(
        id="check",
        provider=provider_id,
        name="check",
        api_key=(wanted.api_key or "").strip() or None,
        options=merged_options({}, checked_options(merged_options({}, options))),
    )
    if account.api_key is None and not provider.keyless:
        raise ValidationFailed([("apiKey", f"is required for {provider.name}")])
    asked = (wanted.validation_model_id or "").strip() or None
    found = await _probed(engine, provider, account, asked)
    await require_answer(engine, caller, provider, account, found)
    return KeyVerdict(
        valid=found.valid,
        error=None if found.valid else found.message,
        warning=found.warning,
        method=found.method,
    )


async def require_answer(
    engine: Engine, caller: Caller, provider: Provider, account: Connection, found: Probed
) -> None:
    """See to it that an upstream was asked at all.

    Raises:
        InvalidRequest: the provider cannot be asked, or its address is refused; the latter is
            written down.
        UpstreamFailed: it cannot be reached.
    """
    if found.diagnosis == "network_error":
        raise UpstreamFailed(found.message, status=504 if found.kind == "timeout" else 502)
    if found.source == "validation":
        if found.kind == "refused":
            await note(
                engine,
                caller,
                "provider.validation.ssrf_blocked",
                _without_query(endpoint(provider, account, "")),
                status="blocked",
            )
        raise InvalidRequest(found.message)
    if found.diagnosis == "unsupported":
        raise InvalidRequest(found.message)


async def check_batch(engine: Engine, caller: Caller, which: BatchInput) -> BatchReport:
    """Test the active accounts of a kind, five at once; what is found is kept.

    Raises:
        ValidationFailed: the mode `provider` without a provider.
        InvalidRequest: there is no such provider.
    """
    wanted = None
    if which.mode == "provider":
        if not (which.provider_id or "").strip():
            raise ValidationFailed([("providerId", "is required for the mode 'provider'")])
        wanted = known_provider(engine, str(which.provider_id).strip())
    accounts = [
        row
        for row in engine.snapshot.active_accounts()
        if (_MODES[which.mode](engine, row) if wanted is None else row.provider == wanted)
    ]
    reports = await all_tested(engine, accounts)
    lines = tuple(_line(row, report) for row, report in zip(accounts, reports, strict=True))
    if accounts:
        await keep(engine, [(row.id, one) for row, one in zip(accounts, reports, strict=True)])
    passed = sum(line.valid for line in lines)
    return BatchReport(
        mode=which.mode,
        provider_id=which.provider_id or None,
        results=lines,
        tested_at=iso(engine.now_ms()),
        summary=BatchSummary(total=len(lines), passed=passed, failed=len(lines) - passed)
        if lines
        else None,
    )


async def all_tested(engine: Engine, accounts: Sequence[Connection]) -> list[CheckReport]:
    """What tests of several accounts find, in their order; a few run at once."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(account: Connection) -> CheckReport:
        async with slots:
            return await examined(engine, account)

    return await asyncio.gather(*map(one, accounts))


async def _probed(
    engine: Engine, provider: Provider | None, account: Connection, asked: str | None
) -> Probed:
    if provider is None:
        told = f"This version knows no provider '{account.provider}'."
        return Probed("unsupported", "local", told)
    usual = account.default_model or engine.snapshot.default_model(account)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await probe(engine.quota_desk.through, provider, account, usual, asked)
    except TimeoutError:
        told = "The upstream did not answer in time"
        return Probed("network_error", "upstream", told, kind="timeout")


def _outcome(report: CheckReport) -> dict[str, str | int | None]:
    if report.valid:
        return {
            "test_status": "active",
            "last_tested": report.tested_at,
            "last_error": None,
            "last_error_at": None,
            "last_error_type": None,
            "last_error_source": None,
            "error_code": None,
            "backoff_level": 0,
            "rate_limited_until": None,
        }
    return {
        "test_status": "error",
        "last_tested": report.tested_at,
        "last_error": report.error,
        "last_error_at": report.tested_at,
        "last_error_type": report.diagnosis.type,
        "last_error_source": report.diagnosis.source,
        "error_code": report.diagnosis.code,
    }


def _call(engine: Engine, account: Connection, report: CheckReport) -> CallRow:
    return CallRow(
        id=engine.new_id(),
        timestamp_ms=engine.now_ms(),
        door="http",
        status=report.status_code,
        success=report.valid,
        outcome="completed" if report.valid else "failed",
        requested_model=TEST_MODEL,
        provider=account.provider,
        model=TEST_MODEL,
        connection_id=account.id,
        account=account.name,
        attempts=1,
        duration_ms=report.latency_ms,
        error=report.error,
    )


def _line(account: Connection, report: CheckReport) -> BatchLine:
    return BatchLine(
        provider=account.provider,
        connection_id=account.id,
        connection_name=account.name,
        auth_type=account.auth_type,
        valid=report.valid,
        latency_ms=report.latency_ms,
        error=report.error,
        diagnosis=report.diagnosis,
        status_code=report.status_code,
        tested_at=report.tested_at,
    )


def _is_local(engine: Engine, account: Connection) -> bool:
    return category_of(engine.snapshot, account) == "local"


def _is_compatible(engine: Engine, account: Connection) -> bool:
    return account.provider in engine.snapshot.nodes


def _serves(*formats: str) -> Callable[[Engine, Connection], bool]:
    """Accounts with a model an operator said is spoken to otherwise than in chats."""

    def fits(engine: Engine, account: Connection) -> bool:
        node = engine.snapshot.nodes.get(account.provider)
        if node is not None and node.api_type in formats:
            return True
        added = engine.snapshot.custom_models.get(account.provider, {})
        return any(model.api_format in formats for model in added.values())

    return fits


_NO_TOKEN: Mapping[LoginKind, Diagnosis] = {
    "ended": "token_expired",
    "failed": "token_refresh_failed",
}

_MODES: Mapping[Mode, Callable[[Engine, Connection], bool]] = {
    "all": lambda _engine, _account: True,
    "oauth": lambda _engine, account: account.auth_type == "oauth",
    "apikey": lambda _engine, account: account.auth_type == "apikey",
    "free": lambda engine, account: engine.snapshot.providers[account.provider].keyless,
    "compatible": _is_compatible,
    "local": _is_local,
    "audio": _serves("audio-transcriptions", "audio-speech"),
    "search": lambda engine, account: account.provider in engine.snapshot.searchers,
    "cloud-agent": lambda _engine, _account: False,  # they are tested where their tasks are
}
"""Which accounts each mode means."""


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
