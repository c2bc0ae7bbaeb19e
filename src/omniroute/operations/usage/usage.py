"""What was used and what it cost: sums by provider, model, account and key. Source: 02 §9.1."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.usage import UsageSpan, UsageSum
from omniroute.storage.usage_rollups import HOUR_MS, MINUTE_MS

Period: TypeAlias = Literal["1h", "24h", "7d", "30d", "all"]

PERIODS: Mapping[Period, int | None] = {
    "1h": HOUR_MS,
    "24h": 24 * HOUR_MS,
    "7d": 7 * 24 * HOUR_MS,
    "30d": 30 * 24 * HOUR_MS,
    "all": None,
}
"""How far back each goes, milliseconds."""

ANONYMOUS = "anonymous"
"""What callers without a key stand under."""

_MINUTES = 10


class UsageLine(Struct, kw_only=True, rename="camel"):
    """What was used under one name. Cost is USD; `last_used` is ISO-8601.

    A request stands where it ended, tokens and costs where they were used. `attempts` counts
    every time an upstream was asked, `unpriced` those that used tokens nobody states a price of.
    """

    requests: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0
    unpriced: int = 0
    last_used: str = ""
    provider: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    connection_id: str | UnsetType = UNSET
    account: str | UnsetType | None = UNSET
    api_key_id: str | UnsetType | None = UNSET
    api_key_name: str | UnsetType | None = UNSET


class MinuteLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was used in one minute. Cost is USD."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class Pending(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many requests are under way: by model, and by account and model."""

    by_model: dict[str, int]
    by_account: dict[str, dict[str, int]]


class ActiveRequests(Struct, frozen=True, kw_only=True):
    """Requests under way at one account's model. `account` is its name."""

    model: str
    provider: str
    account: str
    count: int


class UsageHistory(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was used in a period, what the last ten minutes were like, and what is under way.

    The minutes are those of the clock, oldest first; the last one is the one that runs.
    """

    total_requests: int
    total_prompt_tokens: int
    total_completion_tokens: int
    total_cost: float
    by_provider: dict[str, UsageLine]
    by_model: dict[str, UsageLine]
    by_account: dict[str, UsageLine]
    by_api_key: dict[str, UsageLine]
    last10_minutes: tuple[MinuteLine, ...]
    pending: Pending
    active_requests: tuple[ActiveRequests, ...]


async def usage_history(engine: Engine, caller: Caller, period: Period = "all") -> UsageHistory:
    """What upstreams were asked for in a period, with what that cost. Answers that were kept are
    not in it: they used nothing."""
    await engine.journal.flush()
    back_ms, now_ms = PERIODS[period], engine.now_ms()
    first_ms = now_ms - now_ms % MINUTE_MS - (_MINUTES - 1) * MINUTE_MS
    async with engine.database.reading() as work:
        sums = await work.rollups.sums(None if back_ms is None else now_ms - back_ms)
        minutes = await work.rollups.minutes(first_ms)
    lines, snapshot = usage_lines(engine, sums), engine.snapshot
    return UsageHistory(
        total_requests=sum(row.requests for row in sums),
        total_prompt_tokens=sum(row.prompt_tokens for row in sums),
        total_completion_tokens=sum(row.completion_tokens for row in sums),
        total_cost=sum(row.cost_micro_usd for row in sums) / 1e6,
        by_provider=lines.by_provider,
        by_model=lines.by_model,
        by_account=lines.by_account,
        by_api_key=lines.by_api_key,
        last10_minutes=tuple(
            _minute(minutes.get(start_ms) or UsageSpan(start_ms=start_ms))
            for start_ms in range(first_ms, now_ms + 1, MINUTE_MS)
        ),
        pending=_pending(engine),
        active_requests=tuple(
            ActiveRequests(
                model=model,
                provider=provider,
                account=_account(snapshot, connection) or connection,
                count=count,
            )
            for (provider, connection, model), count in sorted(engine.live.rotation.busy.items())
        ),
    )


class UsageLines(Struct, frozen=True, kw_only=True):
    """Sums under each kind of name, the dearest first."""

    by_provider: dict[str, UsageLine]
    by_model: dict[str, UsageLine]
    by_account: dict[str, UsageLine]
    by_api_key: dict[str, UsageLine]


def usage_lines(engine: Engine, sums: Iterable[UsageSum]) -> UsageLines:
    """Sums in the names the configuration has now."""
    named, rows = _Names(engine.snapshot), list(sums)
    return UsageLines(
        by_provider=_by(rows, lambda row: row.provider, named.provider),
        by_model=_by(rows, lambda row: model_key(row.model, row.provider), named.model),
        by_account=_by(rows, lambda row: row.connection_id, named.account),
        by_api_key=_by(rows, lambda row: row.api_key_id or ANONYMOUS, named.key),
    )


def model_key(model: str, provider: str) -> str:
    """What a model stands under where several providers may have it."""
    return f"{model} ({provider})"


class _Names:
    """What lines are about, in the names the configuration has now; None where it has gone."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._keys = {key.id: key.name for key in snapshot.keys.values()}

    def provider(self, row: UsageSum) -> UsageLine:
        return UsageLine(provider=row.provider)

    def model(self, row: UsageSum) -> UsageLine:
        return UsageLine(provider=row.provider, model=row.model)

    def account(self, row: UsageSum) -> UsageLine:
        return UsageLine(
            provider=row.provider,
            connection_id=row.connection_id,
            account=_account(self._snapshot, row.connection_id),
        )

    def key(self, row: UsageSum) -> UsageLine:
        name = self._keys.get(row.api_key_id) if row.api_key_id is not None else None
        return UsageLine(api_key_id=row.api_key_id, api_key_name=name)


def _account(snapshot: Snapshot, connection: str) -> str | None:
    found = snapshot.connections.get(connection)
    return found.name if found is not None else None


def _by(
    sums: Iterable[UsageSum],
    name: Callable[[UsageSum], str],
    fresh: Callable[[UsageSum], UsageLine],
) -> dict[str, UsageLine]:
    """Sums under other names, the dearest first."""
    lines: dict[str, UsageLine] = {}
    costs: dict[str, int] = {}
    for row in sums:
        key = name(row)
        line = lines.get(key)
        if line is None:
            line = lines[key] = fresh(row)
        line.requests += row.requests
        line.attempts += row.attempts
        line.prompt_tokens += row.prompt_tokens
        line.completion_tokens += row.completion_tokens
        line.unpriced += row.unpriced
        line.last_used = max(line.last_used, iso(row.last_used_ms))
        costs[key] = costs.get(key, 0) + row.cost_micro_usd
        line.cost = costs[key] / 1e6
    dearest = sorted(lines, key=lambda key: (-costs[key], -lines[key].requests, key))
    return {key: lines[key] for key in dearest}


def _minute(minute: UsageSpan) -> MinuteLine:
    return MinuteLine(
        requests=minute.requests,
        prompt_tokens=minute.prompt_tokens,
        completion_tokens=minute.completion_tokens,
        cost=minute.cost_micro_usd / 1e6,
    )


def _pending(engine: Engine) -> Pending:
    by_model: dict[str, int] = {}
    by_account: dict[str, dict[str, int]] = {}
    for (provider, connection, model), count in engine.live.rotation.busy.items():
        key = model_key(model, provider)
        by_model[key] = by_model.get(key, 0) + count
        by_account.setdefault(connection, {})[key] = count
    return Pending(by_model=by_model, by_account=by_account)
