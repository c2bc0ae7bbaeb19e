"""What is set for an account decides how much it takes and how long it rests."""

from typing import Any

import pytest
from tests.support.builders import account, node, snapshot

from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import Policy, is_nearby
from omniroute.routing.resilience.profiles import (
    DAY_MS,
    PRESETS,
    Defaults,
    Profile,
    Resilience,
    in_force,
)
from omniroute.routing.resilience.verdicts import Failure, classify

NOON_MS = 1_800_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
PLACE = ("p", "c", "model-x")


def health_of(clock: list[int], **more: Any) -> Health:
    return Health(lambda: clock[0], lambda _provider, _connection: Profile(**more))


def failing(health: Health, failure: Failure, kind: Any = "apikey") -> None:
    health.failed(*PLACE, failure, classify(failure, kind))


def status(number: int, text: str = "", retry_after_ms: int | None = None) -> Failure:
    return Failure(cause="status", status=number, text=text, retry_after_ms=retry_after_ms)


RESTS: dict[str, tuple[dict[str, Any], Failure, Any, int]] = {
    "the base of the profile": ({"base_cooldown_ms": 700}, status(429), "apikey", 700),
    "no base at all": ({"base_cooldown_ms": 0}, status(429), "apikey", 1_000),
    "a hint that is trusted": ({}, status(429, "", 9_000), "apikey", 9_000),
    "a hint that is not": ({"retry_hints": False}, status(429, "", 9_000), "apikey", 3_000),
    "a quota of the hour": ({}, status(403, "hour quota reached"), "apikey", 3_600_000),
    "a quota with its own hint": (
        {"retry_hints": False},
        status(403, "quota will reset after 2m", 120_000),
        "apikey",
        120_000,
    ),
    "a quota of the day": ({}, status(429, "try again tomorrow"), "oauth", DAY_MS // 2),
    "what nobody foresaw": ({}, status(418), "apikey", 3_000),
}


@pytest.mark.parametrize(("rules", "failure", "kind", "rest_ms"), RESTS.values(), ids=RESTS)
def test_an_account_rests_as_its_profile_says(
    rules: dict[str, Any], failure: Failure, kind: Any, rest_ms: int
) -> None:
    health = health_of([NOON_MS], **rules)
    failing(health, failure, kind)
    assert health.view().cooldowns["c"].until_ms - NOON_MS == rest_ms


LOCKS: dict[str, tuple[dict[str, Any], Failure, Any, int]] = {
    "a rate limit per model": ({"model_quotas": True}, status(429), "apikey", 3_000),
    "a rate limit per model, with a hint": (
        {"model_quotas": True},
        status(429, "", 9_000),
        "apikey",
        9_000,
    ),
    "no credit, per model": (
        {"model_quotas": True},
        status(402, "", 60_000),
        "apikey",
        60_000,
    ),
    "no credit, per model, no hint": ({"model_quotas": True}, status(402), "apikey", 120_000),
    "a day's quota that names the model": (
        {},
        status(429, "daily limit of MODEL-X; try again tomorrow"),
        "oauth",
        DAY_MS // 2,
    ),
    "a model that is not there": ({}, status(404), "apikey", 120_000),
}


@pytest.mark.parametrize(("rules", "failure", "kind", "lock_ms"), LOCKS.values(), ids=LOCKS)
def test_what_concerns_one_model_locks_it_alone(
    rules: dict[str, Any], failure: Failure, kind: Any, lock_ms: int
) -> None:
    health = health_of([NOON_MS], **rules)
    failing(health, failure, kind)
    view = health.view()
    assert dict(view.cooldowns) == {}
    assert {key: row.until_ms - NOON_MS for key, row in view.lockouts.items()} == {PLACE: lock_ms}
    assert view.blocked("p", "c", "other") is None


def test_locks_double_while_failures_follow_one_another() -> None:
    clock = [NOON_MS]
    health = health_of(clock, model_quotas=True, max_backoff_steps=2)
    locks = []
    for _ in range(5):
        failing(health, status(429))
        row = health.view().lockouts[PLACE]
        locks.append((row.failures, row.until_ms - clock[0]))
        clock[0] = row.until_ms + 1_000
    assert locks == [(1, 3_000), (2, 6_000), (3, 12_000), (4, 12_000), (5, 12_000)]
    clock[0] += 30_000
    failing(health, status(429))
    assert health.view().lockouts[PLACE].failures == 1


def test_a_shorter_lock_never_replaces_a_longer_one() -> None:
    health = health_of([NOON_MS], model_quotas=True)
    failing(health, status(404))
    failing(health, status(429))
    row = health.view().lockouts[PLACE]
    assert (row.until_ms - NOON_MS, row.failures) == (120_000, 2)


def test_a_missing_model_is_nothing_to_wait_for() -> None:
    health = health_of([NOON_MS])
    failing(health, status(404))
    assert health.view().blocked(*PLACE) == ("model_lockout_not_found", None)


KINDS = {
    "trusted": (True, status(503, "rate limit"), 60_000),
    "trusted, about a quota": (True, status(503, "quota exceeded"), 3_600_000),
    "not trusted": (False, status(503, "rate limit"), 30_000),
    "an ordinary failure": (True, status(503), 30_000),
}


@pytest.mark.parametrize(("trusts", "failure", "open_ms"), KINDS.values(), ids=KINDS)
def test_a_breaker_stays_open_as_long_as_the_failure_suggests(
    trusts: bool, failure: Failure, open_ms: int
) -> None:
    clock = [NOON_MS]
    health = health_of(clock, threshold=1, trusts_kinds=trusts)
    failing(health, failure)
    clock[0] += open_ms - 1
    assert health.view().breaker("p") == "OPEN"
    clock[0] += 1
    assert health.view().breaker("p") == "HALF_OPEN"


def test_connections_that_fail_in_turn_count_once_each() -> None:
    clock = [NOON_MS]
    health = health_of(clock)
    for number in range(10):
        health.failed("p", ("a", "b")[number % 2], "m", status(503), classify(status(503)))
        clock[0] += 100
    assert health.view().breakers["p"].failures == 2


WORLD = snapshot(
    nodes=[node("far"), node("near", base_url="http://192.168.7.7:8000/v1")],
    accounts=[
        account("far-far", "f"),
        account("near-near", "n"),
        account("openai", "key"),
        account("openai", "signed-in", auth_type="oauth"),
        account("openai", "told", options={"passthroughModels": True}),
        account("openai", "moved", options={"baseUrl": "http://localhost:1/v1"}),
        account("gemini", "g"),
    ],
)
SELF = {"threshold": 12, "trusts_kinds": True, "model_quotas": False}
PROFILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "an API key": ("openai", "key", SELF),
    "a sign-in": (
        "openai",
        "signed-in",
        {
            **SELF,
            "threshold": 8,
            "reset_ms": 60_000,
            "base_cooldown_ms": 5_000,
            "max_backoff_steps": 8,
            "retry_hints": False,
        },
    ),
    "a provider that counts per model": ("gemini", "g", {**SELF, "model_quotas": True}),
    "an account that says so": ("openai", "told", {**SELF, "model_quotas": True}),
    "a custom upstream": ("far-far", "f", {**SELF, "trusts_kinds": False, "model_quotas": True}),
    "an upstream nearby": (
        "near-near",
        "n",
        {"threshold": 2, "reset_ms": 15_000, "trusts_kinds": False, "model_quotas": True},
    ),
    "an account that moved nearby": (
        "openai",
        "moved",
        {"threshold": 2, "reset_ms": 15_000, "trusts_kinds": False},
    ),
    "an account that is gone": ("openai", "gone", SELF),
}


@pytest.mark.parametrize(("provider", "connection", "expected"), PROFILES.values(), ids=PROFILES)
def test_every_account_has_its_profile(
    provider: str, connection: str, expected: dict[str, Any]
) -> None:
    policy = Policy(lambda: WORLD, Defaults())
    assert policy.profile(provider, connection) == Profile(**expected)


NEARBY = {
    "http://localhost:11434": True,
    "http://127.0.0.1/v1": True,
    "http://[::1]:80": True,
    "http://10.0.0.7": True,
    "http://nas.local/v1": True,
    "https://api.openai.com/v1": False,
    "https://{host}/v1": False,
    "https://8.8.8.8": False,
    "http://[": False,
    "": False,
}


@pytest.mark.parametrize(("url", "expected"), NEARBY.items(), ids=NEARBY)
def test_what_is_nearby(url: str, expected: bool) -> None:
    assert is_nearby(url) is expected


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fits(name: str) -> None:
    rules = in_force(Resilience(), PRESETS[name])
    assert rules.request_queue.requests_per_minute is not None
    assert rules.wait_for_cooldown == Resilience().wait_for_cooldown


def test_settings_that_an_older_version_stored_do_not_stop_the_gateway(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = snapshot(resilience={"providerBreaker": {"apikey": {"failureThreshold": 0}}})
    assert Policy(lambda: world, Defaults()).settings == Resilience()
    assert "not valid" in caplog.text
