"""How fast each provider is asked, against the limits that are known."""

from msgspec import Struct

from omniroute.engine import Engine
from omniroute.pipeline.accounts.pace import MINUTE_MS
from omniroute.storage.records.configuration import Connection


class RateLimitLine(Struct, frozen=True, rename="camel"):
    """Requests a minute to a provider, over all of its accounts.

    `rpm` is the limit an operator has set or the provider's headers have taught, 0 where none is
    known; `current_usage` counts the minute that runs. `is_limited`: every account rests or waits.
    """

    provider: str
    rpm: int
    current_usage: int
    is_limited: bool


def provider_rates(engine: Engine) -> tuple[RateLimitLine, ...]:
    """A line for each provider that was asked or has a limit."""
    lines = []
    for provider, accounts in sorted(engine.snapshot.accounts.items()):
        found = [_account(engine, row) for row in accounts]
        rpm, usage = sum(one[0] for one in found), sum(one[1] for one in found)
        is_limited = bool(found) and all(one[2] for one in found)
        if rpm or usage or is_limited:
            lines.append(RateLimitLine(provider, rpm, usage, is_limited))
    return tuple(lines)


def _account(engine: Engine, account: Connection) -> tuple[int, int, bool]:
    """The limit of an account, what of it was used, and whether it is reached."""
    now_ms, rules = engine.now_ms(), engine.policy.queue(account)
    paces = [lane.pace for lane in engine.chat.turnstiles.lanes(account.id)]
    limit = rules.per_minute or max((pace.limit for pace in paces), default=0)
    usage = sum(pace.in_minute for pace in paces if now_ms < pace.minute_start_ms + MINUTE_MS)
    rest = engine.health.view().cooldowns.get(account.id)
    resting = rest is not None and (rest.terminal is not None or rest.until_ms > now_ms)
    waiting = any(pace.wait_ms(now_ms, rules.per_minute, 0) > 0 for pace in paces)
    return limit, usage, resting or waiting
