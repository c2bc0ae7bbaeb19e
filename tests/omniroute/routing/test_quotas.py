"""What is left of a quota is what somebody said, for as long as it holds."""

from typing import Any

import pytest
from tests.support.builders import account, snapshot

from omniroute.catalog.quota_report import Balance, QuotaReport, QuotaWindow
from omniroute.routing.quotas.remaining import FRESH_MS, KEPT_MS, PREFLIGHT_MS, WANTED_MS, Quotas
from omniroute.routing.quotas.rules import NO_RULES, QuotaRules, read_setting, rules_of
from omniroute.routing.targets import Quota

NOW_MS = 1_800_000_000_000
RESET_MS = NOW_MS + 240_000
WEEK_MS = 7 * 24 * 3_600_000


def test_what_nobody_reported_is_not_known() -> None:
    assert Quotas(lambda: NOW_MS).of("a") is None


def left(**shares: tuple[float, int | None]) -> QuotaReport:
    """A report of what is left of windows, and when they reset."""
    return QuotaReport(
        windows={
            name: QuotaWindow(left=share, reset_at_ms=reset)
            for name, (share, reset) in shares.items()
        }
    )


def test_a_report_holds_until_its_resets() -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    two = {"session (5h)": (0.4, RESET_MS), "Weekly": (0.9, RESET_MS * 2)}
    quotas.report("a", left(**two))
    assert quotas.of("a") == Quota(
        used=0.6,
        used_5h=0.6,
        used_7d=0.1,
        reset_5h_ms=RESET_MS,
        reset_7d_ms=RESET_MS * 2,
        interval_ms=5 * 3_600_000,
    )
    clock[0] = RESET_MS
    later = quotas.of("a")
    assert later is not None
    assert (later.used_5h, later.used) == (None, 0.1)


def test_a_report_without_a_reset_is_kept_for_a_day() -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    quotas.report("a", left(credits=(0.4, None)))
    clock[0] += KEPT_MS - 1
    assert quotas.of("a") == Quota(used=0.6)
    clock[0] += 1
    assert quotas.of("a") is None


def test_a_plan_the_provider_names_says_what_kind_of_account_it_is() -> None:
    quotas = Quotas(lambda: NOW_MS)
    quotas.report("a", QuotaReport(plan="Pro plan"))
    quotas.report("b", QuotaReport(plan="own terms"))
    assert (quotas.of("a"), quotas.of("b")) == (Quota(tier="pro"), None)


USED_UP: dict[str, tuple[QuotaReport, int | None]] = {
    "every window, until the first reset": (
        left(weekly=(0, RESET_MS * 2), session=(0, RESET_MS)),
        RESET_MS,
    ),
    "every window, no reset named": (left(credits=(0, None)), NOW_MS + FRESH_MS),
    "one of two windows": (left(weekly=(0, RESET_MS), session=(0.1, RESET_MS)), None),
    "a window without an end beside it": (
        QuotaReport(
            windows={"free": QuotaWindow(unlimited=True), "daily": QuotaWindow(left=0)},
        ),
        None,
    ),
    "no calls at this balance": (
        QuotaReport(balances=(Balance(amount=0),), available=False),
        NOW_MS + FRESH_MS,
    ),
    "a balance": (QuotaReport(balances=(Balance(amount=3),)), None),
}


@pytest.mark.parametrize(("report", "until"), USED_UP.values(), ids=USED_UP)
def test_what_a_provider_says_is_used_up_rests_until_it_is_not(
    report: QuotaReport, until: int | None
) -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    quotas.report("a", report)
    assert quotas.held("a") == (None if until is None else ("quota_exhausted", until))
    if until is not None:
        clock[0] = until
        assert quotas.held("a") is None


HEADERS: dict[str, tuple[dict[str, str], float | None]] = {
    "requests": (
        {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "25"},
        0.75,
    ),
    "the fullest of several": (
        {
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": "25",
            "x-ratelimit-limit-tokens": "100",
            "x-ratelimit-remaining-tokens": "5",
        },
        0.95,
    ),
    "Anthropic's": (
        {
            "anthropic-ratelimit-input-tokens-limit": "10",
            "anthropic-ratelimit-input-tokens-remaining": "5",
        },
        0.5,
    ),
    "only half of it": ({"x-ratelimit-limit-requests": "100"}, None),
    "no limit": (
        {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
        None,
    ),
    "nonsense": (
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "few"},
        None,
    ),
    "no number": (
        {"x-ratelimit-limit-requests": "nan", "x-ratelimit-remaining-requests": "nan"},
        None,
    ),
}


@pytest.mark.parametrize(("headers", "used"), HEADERS.values(), ids=HEADERS)
def test_headers_tell_what_is_left(headers: dict[str, str], used: float | None) -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    quotas.learn("a", headers)
    found = quotas.of("a")
    assert (found and found.used) == used
    clock[0] += FRESH_MS
    assert quotas.of("a") is None


def test_a_refusal_counts_for_a_while() -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    quotas.exhausted("a")
    quotas.exhausted("b", RESET_MS)
    assert (quotas.of("a"), quotas.of("b")) == (Quota(exhausted=True), Quota(exhausted=True))
    clock[0] = RESET_MS
    assert (quotas.of("a"), quotas.of("b")) == (Quota(exhausted=True), None)
    quotas.forget("a")
    assert quotas.of("a") is None


WEEK = {"enabled": True, "thresholdPercent": 80, "windows": ["weekly"]}
POLICIES: dict[str, tuple[Any, tuple[str, int] | None]] = {
    "over": (WEEK, ("quota_policy", RESET_MS)),
    "not over": ({**WEEK, "thresholdPercent": 95}, None),
    "not over by default": ({"enabled": True, "windows": ["weekly"]}, None),
    "another window": ({**WEEK, "windows": ["daily"]}, None),
    "no window": ({**WEEK, "windows": "weekly"}, None),
    "switched off": ({**WEEK, "enabled": False}, None),
    "none": (None, None),
}


def rules(setting: dict[str, Any], **more: Any) -> QuotaRules:
    """The rules of an account at a provider whose usage API is known."""
    world = snapshot(accounts=[account("openrouter", "a", **more)])
    return rules_of(world, "a", read_setting(setting))


@pytest.mark.parametrize(("policy", "expected"), POLICIES.values(), ids=POLICIES)
def test_an_accounts_own_limit_is_watched(policy: Any, expected: tuple[str, int] | None) -> None:
    known = rules({}, options={"limitPolicy": policy})
    quotas = Quotas(lambda: NOW_MS, lambda _: known)
    quotas.report("a", left(**{"weekly (7d)": (0.1, RESET_MS)}))
    assert quotas.held("a") == expected
    assert quotas.held("b") is None


HALF = {"weekly (7d)": (0.5, RESET_MS)}
LOW = {"weekly (7d)": (0.15, RESET_MS), "daily": (0.5, None)}
OPTIONS: dict[str, Any] = {"options": {"quotaPreflightEnabled": True}}
PREFLIGHTS: dict[str, tuple[dict[str, Any], dict[str, Any], Any, str | None]] = {
    "off by default": ({}, {}, {"weekly": (0.01, RESET_MS)}, None),
    "on by the account's flag": (
        {},
        OPTIONS,
        {"weekly": (0.02, RESET_MS)},
        "quota_preflight",
    ),
    "more is left than the cut-off": ({}, OPTIONS, {"weekly": (0.021, RESET_MS)}, None),
    "on by a higher cut-off for all": (
        {"defaultThresholdPercent": 50},
        {},
        HALF,
        "quota_preflight",
    ),
    "on by a default of the provider, by the name's beginning": (
        {"providerWindowDefaults": {"openrouter": {"weekly": 50}}},
        {},
        HALF,
        "quota_preflight",
    ),
    "a default of another provider": (
        {"providerWindowDefaults": {"groq": {"weekly": 50}}},
        {},
        HALF,
        None,
    ),
    "the account's own comes first": (
        {"providerWindowDefaults": {"openrouter": {"weekly": 90}}},
        {"quota_window_thresholds": {"Weekly_(7d)": 49}},
        HALF,
        None,
    ),
    "another window keeps the general cut-off": (
        {"defaultThresholdPercent": 60},
        {"quota_window_thresholds": {"daily": 1}},
        HALF,
        "quota_preflight",
    ),
}


@pytest.mark.parametrize(
    ("setting", "more", "windows", "expected"), PREFLIGHTS.values(), ids=PREFLIGHTS
)
def test_an_account_is_not_used_below_its_cut_off(
    setting: dict[str, Any], more: dict[str, Any], windows: Any, expected: str | None
) -> None:
    known = rules(setting, **more)
    quotas = Quotas(lambda: NOW_MS, lambda _: known)
    quotas.report("a", left(**windows))
    assert quotas.held("a") == (None if expected is None else (expected, RESET_MS))


def test_the_fullest_of_the_windows_below_their_cut_off_says_until_when() -> None:
    known = rules({"defaultThresholdPercent": 50})
    quotas = Quotas(lambda: NOW_MS, lambda _: known)
    quotas.report("a", left(weekly=(0.2, RESET_MS * 2), daily=(0.4, RESET_MS)))
    assert quotas.held("a") == ("quota_preflight", RESET_MS * 2)
    quotas.report("a", left(credits=(0.2, None)))
    assert quotas.held("a") == ("quota_preflight", NOW_MS + FRESH_MS)


REMARKS: dict[str, tuple[dict[str, Any], Any, str | None]] = {
    "little is left": ({}, LOW, "15 % of its quota 'weekly (7d)' is left"),
    "enough is left": ({"warnThresholdPercent": 14}, LOW, None),
    "the warning is above the cut-off whatever is set": (
        {"warnThresholdPercent": 0, "defaultThresholdPercent": 14},
        LOW,
        "15 % of its quota 'weekly (7d)' is left",
    ),
}


@pytest.mark.parametrize(("setting", "windows", "expected"), REMARKS.values(), ids=REMARKS)
def test_a_plan_says_when_little_is_left(
    setting: dict[str, Any], windows: Any, expected: str | None
) -> None:
    known = rules(setting, **OPTIONS)
    quotas = Quotas(lambda: NOW_MS, lambda _: known)
    quotas.report("a", left(**windows))
    assert quotas.remark("a") == expected


def test_an_account_that_could_not_be_asked_is_used_and_the_plan_says_so() -> None:
    known = rules({}, **OPTIONS)
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0], lambda _: known)
    assert quotas.preflight_due("a")
    quotas.report("a", left(weekly=(0.01, RESET_MS)))
    clock[0] += PREFLIGHT_MS - 1
    assert not quotas.preflight_due("a")
    clock[0] += 1
    assert quotas.preflight_due("a")
    quotas.unanswered("a", "status 500")
    assert not quotas.preflight_due("a")
    assert quotas.held("a") is None
    assert quotas.remark("a") == "its quota is not known and was not looked at: status 500"
    assert quotas.of("a") == Quota(
        used=0.99, used_7d=0.99, reset_7d_ms=RESET_MS, interval_ms=WEEK_MS
    )


def test_only_what_somebody_needs_is_kept_up_to_date() -> None:
    clock = [NOW_MS]
    watched = {"options": {"quotaMonitorEnabled": True}}
    limited = {"options": {"limitPolicy": WEEK}}
    known = {
        "plain": rules({}),
        "flag": rules({}, **OPTIONS),
        "watched": rules({}, **watched),
        "limited": rules({}, **limited),
        "dumb": NO_RULES,
    }
    ruled = ["flag", "watched", "limited"]
    quotas = Quotas(lambda: clock[0], known.__getitem__)

    def due() -> list[str]:
        return [name for name in known if quotas.refresh_due(name, FRESH_MS)]

    assert due() == ruled
    quotas.want(known)
    assert due() == ["plain", *ruled]
    quotas.report("plain", left(weekly=(0, RESET_MS * 2)))
    for name in ruled:
        quotas.report(name, left(weekly=(1, RESET_MS * 2)))
    assert due() == []
    clock[0] += WANTED_MS  # nobody wants it any more, but what is used up must be seen to come back
    assert due() == ["plain", *ruled]
    quotas.report("plain", left(weekly=(1, RESET_MS * 2)))
    clock[0] += FRESH_MS
    assert due() == ruled
