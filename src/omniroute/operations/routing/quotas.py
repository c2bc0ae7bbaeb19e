"""What is left of accounts' quotas: asked of one provider, known of all."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.catalog.quota_report import Balance, QuotaReport, QuotaWindow
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.models.provider_named import provider_named
from omniroute.pipeline.accounts.logins import has_ended
from omniroute.routing.quotas.remaining import PREFLIGHT_MS
from omniroute.routing.snapshot import DEMO_ACCOUNT
from omniroute.storage.records.configuration import Connection

TokenStatus: TypeAlias = Literal["valid", "expiring", "expired", "refreshing"]


class LiveWindow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One window in the provider's own unit. `reset_at` is ISO-8601; None is not known."""

    used: float | None
    total: float | None
    remaining: float | None
    remaining_percentage: float | None
    reset_at: str | None
    unlimited: bool


class LiveBalance(Struct, frozen=True):
    """Money or credits left; `currency` is None where the provider does not say."""

    amount: float
    currency: str | None


class LiveQuota(Struct, frozen=True, kw_only=True):
    """What a provider says of one account (02 §9.1). `available` false: it refuses calls now."""

    plan: str | None
    quotas: dict[str, LiveWindow]
    message: str | None
    available: bool
    balances: tuple[LiveBalance, ...] = ()


class QuotaQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose quotas.

    Attributes:
        provider: a provider id or one of its prefixes.
        connection_id: one account; wins over `provider`.
    """

    provider: str | None = None
    connection_id: str | None = None


class QuotaLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """The fullest window of one account; `quota_used` and `quota_total` in the provider's unit.

    `quota_used` is 0 and `quota_total` None where the provider counts in percent only. `problem`
    is why the latest question was not answered, `unlimited` says that no window has an end.
    """

    name: str
    provider: str
    connection_id: str
    quota_used: Annotated[float, Meta(ge=0)]
    quota_total: float | None
    percent_remaining: Annotated[float, Meta(ge=0, le=100)]
    reset_at: str | None
    token_status: TokenStatus
    window: str | UnsetType = UNSET
    balances: tuple[LiveBalance, ...] | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    unlimited: bool | UnsetType = UNSET


class QuotaFilters(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was asked for."""

    provider: str | None
    connection_id: str | None


class QuotaMeta(Struct, frozen=True, kw_only=True, rename="camel"):
    """When the answer was made (ISO-8601), and how many accounts are in it."""

    generated_at: str
    filters: QuotaFilters
    total_providers: int


class QuotaOverview(Struct, frozen=True, kw_only=True):
    """What is known of accounts' quotas, least left first. Of other accounts nothing is known."""

    providers: tuple[QuotaLine, ...]
    meta: QuotaMeta


class CutOffs(Struct, frozen=True, kw_only=True, rename="camel"):
    """Percentages left at which accounts are not used, by default and by provider and window."""

    global_threshold_percent: int
    provider_window_defaults: dict[str, dict[str, int]]


class QuotaWindows(Struct, frozen=True, kw_only=True):
    """The names of windows that were seen, by provider (02 §4.9)."""

    windows: dict[str, list[str]]
    defaults: CutOffs


async def live_quota(engine: Engine, caller: Caller, connection_id: str) -> LiveQuota:
    """Ask the provider of an account what is left of it, and keep the answer.

    Raises:
        NotFound: there is no account with this id.
        InvalidRequest: its provider has no usage API.
        UpstreamFailed: the provider refuses its credentials (401), or does not say (500).
    """
    report = await engine.quota_desk.ask(connection_id)
    await engine.quota_desk.kept()
    return shown_report(report)


async def quota_overview(engine: Engine, caller: Caller, query: QuotaQuery) -> QuotaOverview:
    """What is left of accounts. What is older than a minute is asked for again first."""
    wanted = _wanted(engine, query)
    quotas, now_ms = engine.live.quotas, engine.now_ms()
    old = [
        row.id
        for row in wanted
        if engine.policy.quota_rules(row.id).shape is not None
        and now_ms - quotas.standing(row.id).asked_at_ms >= PREFLIGHT_MS
    ]
    await engine.quota_desk.refresh(old)
    lines = [line for row in wanted if (line := _line(engine, row)) is not None]
    return QuotaOverview(
        providers=tuple(sorted(lines, key=lambda line: line.percent_remaining)),
        meta=QuotaMeta(
            generated_at=iso(engine.now_ms()),
            filters=QuotaFilters(provider=query.provider, connection_id=query.connection_id),
            total_providers=len(lines),
        ),
    )


async def check_quota(engine: Engine, caller: Caller, query: QuotaQuery) -> QuotaOverview:
    """The same for somebody who wants to know when there is no such account or provider.

    Raises:
        NotFound: there is no such account.
        InvalidRequest: there is no such provider.
    """
    snapshot = engine.snapshot
    if query.connection_id is not None:
        if query.connection_id not in snapshot.connections:
            hint = did_you_mean(query.connection_id, snapshot.connections)
            raise NotFound(
                f"There is no account with the id '{query.connection_id}'.{hint} Leave it out to "
                "see all.",
                param="connectionId",
            )
    elif query.provider is not None:
        provider_named(snapshot, query.provider, param="provider")
    return await quota_overview(engine, caller, query)


def known_quotas(engine: Engine, provider: str) -> list[QuotaLine]:
    """What is known already of the accounts of a provider, least left first."""
    rows = _wanted(engine, QuotaQuery(provider=provider))
    lines = [line for row in rows if (line := _line(engine, row)) is not None]
    return sorted(lines, key=lambda line: line.percent_remaining)


async def quota_windows(engine: Engine, caller: Caller) -> QuotaWindows:
    """The windows providers have reported, and the cut-offs that hold by default."""
    seen: dict[str, set[str]] = {}
    for row in engine.snapshot.connections.values():
        report = engine.live.quotas.standing(row.id).report
        if report is not None and report.windows:
            seen.setdefault(row.provider, set()).update(report.windows)
    preflight = engine.policy.quota_preflight
    return QuotaWindows(
        windows={provider: sorted(names) for provider, names in sorted(seen.items())},
        defaults=CutOffs(
            global_threshold_percent=preflight.default_threshold_percent,
            provider_window_defaults=preflight.provider_window_defaults,
        ),
    )


def _wanted(engine: Engine, query: QuotaQuery) -> list[Connection]:
    snapshot = engine.snapshot
    if query.connection_id is not None:
        found = snapshot.connections.get(query.connection_id)
        return [] if found is None else [found]
    provider = query.provider and snapshot.prefixes.get(query.provider, query.provider)
    rows = [row for row in snapshot.connections.values() if row.is_active]
    if provider:
        return [row for row in rows if row.provider == provider]
    real = [row for row in rows if row.id != DEMO_ACCOUNT.id]
    return real or rows


def _line(engine: Engine, account: Connection) -> QuotaLine | None:
    """What is known of an account; None for nothing."""
    quotas = engine.live.quotas
    standing, known, tight = (
        quotas.standing(account.id),
        quotas.of(account.id),
        quotas.tightest(account.id),
    )
    report = standing.report
    if report is None and known is None and standing.problem is None:
        return None
    name, window = tight if tight is not None else (None, None)
    told = report.windows.get(name) if report is not None and name is not None else None
    left = 100.0 if window is None else round(100 * (1 - window.used), 2)
    return QuotaLine(
        name=account.name,
        provider=account.provider,
        connection_id=account.id,
        quota_used=max(0.0, (told and told.used) or 0.0),
        quota_total=told.total if told is not None else None,
        percent_remaining=0.0 if known is not None and known.exhausted else left,
        reset_at=iso(window.reset_at_ms) if window and window.reset_at_ms else None,
        token_status=_token_status(engine, account),
        window=name or UNSET,
        balances=_balances(report.balances) or UNSET if report is not None else UNSET,
        problem=standing.problem or UNSET,
        unlimited=_is_unlimited(report) or UNSET,
    )


def _is_unlimited(report: QuotaReport | None) -> bool:
    windows = () if report is None else report.windows.values()
    return bool(windows) and all(row.unlimited for row in windows)


def _token_status(engine: Engine, account: Connection) -> TokenStatus:
    cooldown = engine.health.view().cooldowns.get(account.id)
    refused = cooldown is not None and cooldown.terminal == "expired"
    if refused or account.test_status == "expired":
        return "expired"
    if account.auth_type != "oauth" or not engine.logins.is_due(account, engine.now_ms()):
        return "valid"
    if account.refresh_token is not None:
        return "expiring"  # and renewed with the next request
    return "expired" if has_ended(account, engine.now_ms()) else "expiring"


def shown_report(report: QuotaReport) -> LiveQuota:
    """A report as operators see it."""
    windows = {
        name: LiveWindow(
            used=row.used,
            total=row.total,
            remaining=_remaining(row),
            remaining_percentage=None if row.left is None else round(100 * row.left, 2),
            reset_at=None if row.reset_at_ms is None else iso(row.reset_at_ms),
            unlimited=row.unlimited,
        )
        for name, row in report.windows.items()
    }
    return LiveQuota(
        plan=report.plan,
        quotas=windows,
        message=report.message,
        available=not report.exhausted,
        balances=_balances(report.balances),
    )


def _remaining(row: QuotaWindow) -> float | None:
    return None if row.total is None or row.left is None else round(row.total * row.left, 6)


def _balances(rows: tuple[Balance, ...]) -> tuple[LiveBalance, ...]:
    return tuple(LiveBalance(row.amount, row.currency) for row in rows)
