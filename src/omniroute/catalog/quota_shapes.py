"""Answers of usage APIs, read: one pure decoder for each shape a provider documents."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from omniroute.catalog.quota_report import Balance, QuotaReport, QuotaWindow
from omniroute.clock import from_iso

Shape: TypeAlias = Literal[
    "omniroute", "openrouter", "deepseek", "moonshot", "siliconflow", "venice"
]

_EPOCH_MS_FROM = 10**10
_LAST_MS = 253_402_300_799_000  # the end of the year 9999, after which there are no dates


class QuotaApi(Struct, frozen=True, kw_only=True):
    """How a provider reports usage.

    `path` is added to the base URL, or with a slash in front to its host; `source` is the page
    that documents the answer.
    """

    path: str
    shape: Shape
    source: str


def read_report(shape: Shape, body: bytes, now_ms: int) -> QuotaReport:
    """What an answer says. `now_ms` (epoch) is when it came: some name their reset by a word.

    Raises:
        ValueError: the answer is of another shape.
    """
    try:
        return _DECODERS[shape](body, now_ms)
    except (msgspec.DecodeError, msgspec.ValidationError, OverflowError) as error:
        raise ValueError(f"The answer does not have the shape of {shape}.") from error


class _Quota(Struct, rename="camel"):
    used: float | None = None
    total: float | None = None
    remaining: float | None = None
    remaining_percentage: float | None = None
    reset_at: str | int | float | None = None
    unlimited: bool = False


class _Own(Struct):
    quotas: dict[str, _Quota]
    plan: str | None = None
    message: str | None = None


def _own(body: bytes, _now_ms: int) -> QuotaReport:
    """The shape of this gateway's own `/api/usage/{connectionId}` (02 §9.1)."""
    found = msgspec.json.decode(body, type=_Own)
    windows = {name: _window(row) for name, row in found.quotas.items()}
    return QuotaReport(
        plan=found.plan,
        windows={
            name: row for name, row in windows.items() if row.unlimited or row.left is not None
        },
        message=found.message,
    )


def _window(row: _Quota) -> QuotaWindow:
    left = None
    if row.unlimited:
        pass
    elif row.remaining_percentage is not None:
        left = row.remaining_percentage / 100
    elif row.total and row.remaining is not None:
        left = row.remaining / row.total
    elif row.total and row.used is not None:
        left = 1 - row.used / row.total
    return QuotaWindow(
        left=_share(left),
        used=row.used,
        total=row.total,
        reset_at_ms=reset_ms(row.reset_at),
        unlimited=row.unlimited,
    )


class _Key(Struct):
    limit: float | None = None
    limit_remaining: float | None = None
    limit_reset: str | None = None
    usage: float | None = None
    is_free_tier: bool = False


class _Keyed(Struct):
    data: _Key


def _openrouter(body: bytes, now_ms: int) -> QuotaReport:
    """What a key may spend, in credits. A limit without a reset is one for good."""
    key = msgspec.json.decode(body, type=_Keyed).data
    plan = "free" if key.is_free_tier else None
    if key.limit is None:
        return QuotaReport(
            plan=plan, windows={"credits": QuotaWindow(unlimited=True, used=key.usage)}
        )
    left = key.limit_remaining
    share = 0.0 if key.limit <= 0 else (left or 0.0) / key.limit
    window = QuotaWindow(
        left=_share(share),
        used=None if left is None else key.limit - left,
        total=key.limit,
        reset_at_ms=_next_ms(key.limit_reset, now_ms),
    )
    return QuotaReport(plan=plan, windows={key.limit_reset or "credits": window})


class _BalanceInfo(Struct):
    total_balance: str
    currency: str | None = None


class _DeepSeek(Struct):
    is_available: bool
    balance_infos: list[_BalanceInfo] = []


def _deepseek(body: bytes, _now_ms: int) -> QuotaReport:
    found = msgspec.json.decode(body, type=_DeepSeek)
    return QuotaReport(
        balances=tuple(
            Balance(amount=_number(row.total_balance), currency=row.currency)
            for row in found.balance_infos
        ),
        available=found.is_available,
    )


class _MoonshotData(Struct):
    available_balance: float


class _Moonshot(Struct):
    data: _MoonshotData


def _moonshot(body: bytes, _now_ms: int) -> QuotaReport:
    """Nothing can be asked at zero or below; the currency is that of the platform."""
    amount = msgspec.json.decode(body, type=_Moonshot).data.available_balance
    return QuotaReport(balances=(Balance(amount=amount),), available=amount > 0)


class _SiliconData(Struct, rename="camel"):
    total_balance: str


class _SiliconFlow(Struct):
    data: _SiliconData


def _siliconflow(body: bytes, _now_ms: int) -> QuotaReport:
    """A balance of zero still reaches the models that are free, so it refuses nothing."""
    amount = _number(msgspec.json.decode(body, type=_SiliconFlow).data.total_balance)
    return QuotaReport(balances=(Balance(amount=amount),))


class _Venice(Struct, rename="camel"):
    can_consume: bool
    balances: dict[str, float | None] = {}


def _venice(body: bytes, _now_ms: int) -> QuotaReport:
    found = msgspec.json.decode(body, type=_Venice)
    return QuotaReport(
        balances=tuple(
            Balance(amount=amount, currency=name.upper())
            for name, amount in found.balances.items()
            if amount is not None
        ),
        available=found.can_consume,
    )


_DECODERS: Mapping[Shape, Callable[[bytes, int], QuotaReport]] = {
    "omniroute": _own,
    "openrouter": _openrouter,
    "deepseek": _deepseek,
    "moonshot": _moonshot,
    "siliconflow": _siliconflow,
    "venice": _venice,
}


def reset_ms(value: Any) -> int | None:
    """A reset as epoch milliseconds: ISO-8601, epoch seconds or milliseconds; None for nonsense."""
    if isinstance(value, str):
        try:
            return from_iso(value)
        except (ValueError, OverflowError):
            return None
    if value is None or not 0 < value <= _LAST_MS:
        return None
    return int(value if value >= _EPOCH_MS_FROM else value * 1000)


def _next_ms(every: str | None, now_ms: int) -> int | None:
    """When a limit starts afresh: at midnight UTC, weeks on Monday, months on the first."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match every:
        case "daily":
            then = today + timedelta(days=1)
        case "weekly":
            then = today + timedelta(days=7 - now.weekday())
        case "monthly":
            then = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            return None
    return int(then.timestamp() * 1000)


def _share(left: float | None) -> float | None:
    return None if left is None else min(1.0, max(0.0, left))


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError("A balance is not a number.")
    return found
