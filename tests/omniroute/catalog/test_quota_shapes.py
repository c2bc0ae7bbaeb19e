"""What usage APIs answer, as reports: the documented examples and what may stand in for them."""

import pytest

from omniroute.catalog.providers import PROVIDERS
from omniroute.catalog.quota_report import Balance, QuotaReport, QuotaWindow, length_ms
from omniroute.catalog.quota_shapes import Shape, read_report, reset_ms
from omniroute.clock import from_iso

NOW_MS = from_iso("2026-05-13T12:34:56Z")  # a Wednesday


def key(reset: str, left: str = "74.5", limit: str = "100", free: str = "false") -> bytes:
    """What OpenRouter says of a key."""
    return (
        f'{{"data": {{"limit": {limit}, "limit_remaining": {left}, "limit_reset": {reset}, '
        f'"usage": 25.5, "is_free_tier": {free}}}}}'
    ).encode()


def spent(reset_at: str | None) -> QuotaWindow:
    """A quarter of a hundred credits."""
    return QuotaWindow(
        left=0.745, used=25.5, total=100, reset_at_ms=from_iso(reset_at) if reset_at else None
    )


REPORTS: dict[str, tuple[Shape, bytes, QuotaReport]] = {
    "our own": (
        "omniroute",
        (
            b'{"plan": "pro", "quotas": {"session (5h)": {"used": 12, "total": 100, "remaining": 8,'
            b'"remainingPercentage": 88, "resetAt": "2026-05-13T15:00:00Z", "unlimited": false}},'
            b'"message": null}'
        ),
        QuotaReport(
            plan="pro",
            windows={
                "session (5h)": QuotaWindow(
                    left=0.88, used=12, total=100, reset_at_ms=from_iso("2026-05-13T15:00:00Z")
                )
            },
        ),
    ),
    "our own, in other words": (
        "omniroute",
        (
            b'{"quotas": {"a": {"total": 4, "remaining": 1, "resetAt": 1778684096},'
            b'"b": {"total": 4, "used": 5, "resetAt": 1778684096000}, "c": {"unlimited": true},'
            b'"says nothing": {"resetAt": "soon"}}}'
        ),
        QuotaReport(
            windows={
                "a": QuotaWindow(left=0.25, total=4, reset_at_ms=1_778_684_096_000),
                "b": QuotaWindow(left=0.0, used=5, total=4, reset_at_ms=1_778_684_096_000),
                "c": QuotaWindow(unlimited=True),
            }
        ),
    ),
    "OpenRouter, by the month": (
        "openrouter",
        key('"monthly"'),
        QuotaReport(windows={"monthly": spent("2026-06-01T00:00:00Z")}),
    ),
    "OpenRouter, by the week": (
        "openrouter",
        key('"weekly"'),
        QuotaReport(windows={"weekly": spent("2026-05-18T00:00:00Z")}),
    ),
    "OpenRouter, by the day": (
        "openrouter",
        key('"daily"'),
        QuotaReport(windows={"daily": spent("2026-05-14T00:00:00Z")}),
    ),
    "OpenRouter, for good": (
        "openrouter",
        key("null"),
        QuotaReport(windows={"credits": spent(None)}),
    ),
    "OpenRouter, without a limit": (
        "openrouter",
        key("null", left="null", limit="null", free="true"),
        QuotaReport(plan="free", windows={"credits": QuotaWindow(unlimited=True, used=25.5)}),
    ),
    "DeepSeek": (
        "deepseek",
        (
            b'{"is_available": true, "balance_infos": [{"currency": "CNY", "total_balance":'
            b'"110.00", "granted_balance": "10.00", "topped_up_balance": "100.00"}]}'
        ),
        QuotaReport(balances=(Balance(amount=110, currency="CNY"),)),
    ),
    "DeepSeek, out of money": (
        "deepseek",
        b'{"is_available": false, "balance_infos": []}',
        QuotaReport(available=False),
    ),
    "Moonshot": (
        "moonshot",
        (
            b'{"code": 0, "data": {"available_balance": 49.58894, "voucher_balance": 46.58893,'
            b'"cash_balance": 3.00001}, "scode": "0x0", "status": true}'
        ),
        QuotaReport(balances=(Balance(amount=49.58894),)),
    ),
    "Moonshot, in debt": (
        "moonshot",
        b'{"data": {"available_balance": 0, "cash_balance": -3}}',
        QuotaReport(balances=(Balance(amount=0),), available=False),
    ),
    "SiliconFlow, whose free models cost nothing": (
        "siliconflow",
        b'{"code": 20000, "data": {"balance": "0", "totalBalance": "0.00"}}',
        QuotaReport(balances=(Balance(amount=0),)),
    ),
    "Venice": (
        "venice",
        b'{"canConsume": true, "balances": {"diem": 90.5, "usd": null}}',
        QuotaReport(balances=(Balance(amount=90.5, currency="DIEM"),)),
    ),
}


@pytest.mark.parametrize(("shape", "body", "expected"), REPORTS.values(), ids=REPORTS)
def test_an_answer_becomes_a_report(shape: Shape, body: bytes, expected: QuotaReport) -> None:
    assert read_report(shape, body, NOW_MS) == expected


RESETS: dict[str, tuple[str | float | None, int | None]] = {
    "a date": ("2026-05-13T12:34:56Z", NOW_MS),
    "seconds": (NOW_MS // 1000, NOW_MS),
    "milliseconds": (NOW_MS, NOW_MS),
    "half a second": (1.5, 1500),
    "no date": ("tomorrow", None),
    "a date before the first": ("-2026-05-13", None),
    "nothing": (None, None),
    "zero": (0, None),
    "after the last date": (1e30, None),
    "not a number": (float("nan"), None),
}


@pytest.mark.parametrize(("written", "ms"), RESETS.values(), ids=RESETS)
def test_resets_are_dates_or_epochs(written: str | float | None, ms: int | None) -> None:
    assert reset_ms(written) == ms


NONSENSE: dict[str, tuple[Shape, bytes]] = {
    "no JSON": ("omniroute", b"<html>"),
    "another shape": ("deepseek", b'{"data": {}}'),
    "a balance that is no number": ("siliconflow", b'{"data": {"totalBalance": "much"}}'),
    "a balance that is not finite": ("siliconflow", b'{"data": {"totalBalance": "inf"}}'),
}


@pytest.mark.parametrize(("shape", "body"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused(shape: Shape, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"shape of|number|float"):
        read_report(shape, body, NOW_MS)


TIERS = {
    "GLM Coding Max": "ultra",
    "pro": "pro",
    "Team": "pro",
    "lite": "standard",
    "Free tier": "free",
    "maximal": None,
    None: None,
}


@pytest.mark.parametrize(("plan", "tier"), TIERS.items())
def test_a_plan_says_what_kind_of_account_it_is(plan: str | None, tier: str | None) -> None:
    assert QuotaReport(plan=plan).tier == tier


HOUR_MS = 3_600_000
LENGTHS = {
    "session (5h)": 5 * HOUR_MS,
    "30 min": HOUR_MS // 2,
    "weekly (7d)": 168 * HOUR_MS,
    "Weekly": 168 * HOUR_MS,
    "daily_tokens": 24 * HOUR_MS,
    "monthly": 720 * HOUR_MS,
    "credits": None,
}


@pytest.mark.parametrize(("name", "ms"), LENGTHS.items())
def test_a_name_says_how_long_a_window_runs(name: str, ms: int | None) -> None:
    assert length_ms(name) == ms


def test_every_usage_api_has_the_page_that_documents_it() -> None:
    apis = {name: row.quota.source for name, row in PROVIDERS.items() if row.quota is not None}
    assert sorted(apis) == ["deepseek", "demo", "moonshot", "openrouter", "siliconflow", "venice"]
    assert all(page.startswith("https://") for name, page in apis.items() if name != "demo")
