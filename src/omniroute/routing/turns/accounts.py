"""The order in which a target's accounts are tried: one pure function per strategy. 05 §5.3."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from omniroute.routing.targets import AccountUse, SeenAccount

_NEVER = AccountUse()
_RECENT_MS = ((15_000, 3), (60_000, 2), (300_000, 1))


@dataclass(frozen=True, slots=True)
class AccountView:
    """What an account strategy may look at.

    `sticky` is how many requests in a row one account serves under round-robin, `disturbed` says
    that another account of the target may not be tried now, `turn` counts deals per provider.
    """

    rng: random.Random
    now_ms: int
    sticky: int
    disturbed: bool
    provider: str
    turn: int


AccountStrategy: TypeAlias = Callable[[Sequence[SeenAccount], AccountView], list[SeenAccount]]


def by_priority(accounts: Sequence[SeenAccount], _view: AccountView) -> list[SeenAccount]:
    """Best priority first, as the snapshot lists them."""
    return list(accounts)


def round_robin(accounts: Sequence[SeenAccount], view: AccountView) -> list[SeenAccount]:
    """The latest account until it has had its share, then whoever waited longest."""
    waited = sorted(
        accounts, key=lambda row: (_use(row).last_used_ms or 0, row.backoff, row.priority)
    )
    latest = waited[-1]
    used = _use(latest)
    if used.last_used_ms is not None and used.in_a_row < view.sticky and not view.disturbed:
        return [latest, *waited[:-1]]
    return waited


def shuffled(accounts: Sequence[SeenAccount], view: AccountView) -> list[SeenAccount]:
    """Any order, all equally likely."""
    return view.rng.sample(accounts, len(accounts))


def least_used(accounts: Sequence[SeenAccount], _view: AccountView) -> list[SeenAccount]:
    """Whoever was used longest ago first; never used comes before that."""
    return sorted(accounts, key=lambda row: _use(row).last_used_ms or 0)


def by_priority_number(accounts: Sequence[SeenAccount], _view: AccountView) -> list[SeenAccount]:
    """Lowest priority number first: operators give the cheap account the low number."""
    return sorted(accounts, key=lambda row: row.priority)


def strict_random(accounts: Sequence[SeenAccount], view: AccountView) -> list[SeenAccount]:
    """Deal from a shuffled deck per provider: each once a cycle."""
    size = len(accounts)
    cycle, place = divmod(view.turn, size)
    names = ",".join(row.id for row in accounts)
    rng = random.Random(f"{view.provider}:{names}:{cycle}")  # noqa: S311 - not a secret
    dealt = rng.sample(range(size), size)[place]
    return [accounts[dealt], *(row for at, row in enumerate(accounts) if at != dealt)]


def p2c(accounts: Sequence[SeenAccount], view: AccountView) -> list[SeenAccount]:
    """Draw two, try the one with less against it first."""
    drawn = list(accounts) if len(accounts) <= 2 else view.rng.sample(accounts, 2)
    first = min(drawn, key=lambda row: (_penalty(row, view.now_ms), row.priority, row.id))
    return [first, *(row for row in accounts if row is not first)]


def _penalty(row: SeenAccount, now_ms: int) -> float:
    use = _use(row)
    against = 200.0 if row.quota is not None and row.quota.exhausted else 0.0
    against += min(40, 8 * row.backoff) + _error(row.last_status) + _scarcity(row)
    against += min(12, 2 * use.in_a_row) + min(6, max(0, row.priority - 1)) + 4 * row.in_flight
    if use.last_used_ms is not None:
        age_ms = now_ms - use.last_used_ms
        against += next((points for limit, points in _RECENT_MS if age_ms < limit), 0)
    return against


def _error(status: int | None) -> int:
    if status is None:
        return 0
    if status == 429:
        return 6 + 24
    if status in (401, 403):
        return 6 + 18
    return 6 + (10 if status >= 500 else 0)


def _scarcity(row: SeenAccount) -> float:
    if row.quota is None or row.quota.used is None:
        return 4
    left = 100 * (1 - row.quota.used)
    return round((100 - left) / 8) + (10 if left <= 10 else 4 if left <= 25 else 0)


def _use(row: SeenAccount) -> AccountUse:
    return row.use or _NEVER


ACCOUNT_STRATEGIES: Mapping[str, AccountStrategy] = {
    "fill-first": by_priority,
    "priority": by_priority,
    "weighted": by_priority,
    "round-robin": round_robin,
    "p2c": p2c,
    "random": shuffled,
    "least-used": least_used,
    "cost-optimized": by_priority_number,
    "strict-random": strict_random,
}
"""Every account strategy by the name the setting `fallbackStrategy` knows it by."""
