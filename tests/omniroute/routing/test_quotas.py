"""What is left of a quota is what somebody said, for as long as it holds."""

from typing import Any

import pytest

from omniroute.routing.quotas import FRESH_MS, Quotas
from omniroute.routing.targets import Quota

NOW_MS = 1_800_000_000_000
RESET_MS = NOW_MS + 60_000


def test_what_nobody_reported_is_not_known() -> None:
    assert Quotas(lambda: NOW_MS).of("a") is None


def test_a_report_holds_until_its_resets() -> None:
    clock = [NOW_MS]
    quotas = Quotas(lambda: clock[0])
    quotas.report("a", {"session (5h)": (0.4, RESET_MS), "Weekly": (0.9, RESET_MS * 2)})
    assert quotas.of("a") == Quota(
        used=0.6,
        used_5h=0.6,
        used_7d=0.1,
        reset_5h_ms=RESET_MS,
        reset_7d_ms=RESET_MS * 2,
    )
    clock[0] = RESET_MS
    later = quotas.of("a")
    assert later is not None
    assert (later.used_5h, later.used) == (None, 0.1)


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


@pytest.mark.parametrize(("policy", "expected"), POLICIES.values(), ids=POLICIES)
def test_an_accounts_own_limit_is_watched(policy: Any, expected: tuple[str, int] | None) -> None:
    quotas = Quotas(lambda: NOW_MS, {"a": policy}.get)
    quotas.report("a", {"weekly (7d)": (0.1, RESET_MS)})
    assert quotas.over_limit("a") == expected
    assert quotas.over_limit("b") is None
