"""How much failure is taken, and how long things are left alone: settings, presets, profiles.

Source: 02 §13.1, 05 §4.1-4.3, §4.11. There is no request limit of our own until an operator sets
one (design §9): then exactly that holds.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

SETTING = "resilience"
"""The name under which what an operator changed is stored."""

DAY_MS = 24 * 60 * 60 * 1000

Category: TypeAlias = Literal["oauth", "apikey", "local"]
"""How an account signs in; `local` is any upstream on this machine or its network."""

FailureKind: TypeAlias = Literal["rate_limit", "quota_exhausted", "transient"]

PAUSE_BY_KIND_MS: Mapping[FailureKind, int] = {"rate_limit": 60_000, "quota_exhausted": 3_600_000}
"""How long an open breaker of a trusted provider waits after a failure of that kind."""


class _Section(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class RequestQueue(_Section, frozen=True, kw_only=True):
    """How fast accounts are asked. None is no limit but what a provider's own headers teach."""

    auto_enable_api_key_providers: bool = True
    requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    min_time_between_requests_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    concurrent_requests: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    max_wait_ms: Annotated[int, Meta(ge=1, le=DAY_MS)] = 120_000


class CooldownRule(_Section, frozen=True, kw_only=True):
    """How long an account rests after a failure, and whether its provider's word counts.

    `use_upstream_429_breaker_hints` None means: as is usual for the provider.
    """

    base_cooldown_ms: Annotated[int, Meta(ge=0, le=DAY_MS)] = 3_000
    use_upstream_retry_hints: bool = True
    use_upstream_429_breaker_hints: bool | None = None
    max_backoff_steps: Annotated[int, Meta(ge=0, le=32)] = 5


class BreakerRule(_Section, frozen=True, kw_only=True):
    """When a provider's breaker opens, and for how long."""

    failure_threshold: Annotated[int, Meta(ge=1, le=1_000)] = 12
    reset_timeout_ms: Annotated[int, Meta(ge=1_000, le=DAY_MS)] = 30_000


class Cooldowns(_Section, frozen=True, kw_only=True):
    """Cooldowns by the kind of account."""

    oauth: CooldownRule = CooldownRule(
        base_cooldown_ms=5_000, use_upstream_retry_hints=False, max_backoff_steps=8
    )
    apikey: CooldownRule = CooldownRule()


class Breakers(_Section, frozen=True, kw_only=True):
    """Breakers by the kind of account."""

    oauth: BreakerRule = BreakerRule(failure_threshold=8, reset_timeout_ms=60_000)
    apikey: BreakerRule = BreakerRule()


class WaitForCooldown(_Section, frozen=True, kw_only=True):
    """Whether a request for one model waits for its accounts instead of failing."""

    enabled: bool = True
    max_retries: Annotated[int, Meta(ge=0, le=10)] = 3
    max_retry_wait_sec: Annotated[int, Meta(ge=0, le=300)] = 30

    @property
    def on(self) -> bool:
        """Whether it ever waits."""
        return self.enabled and self.max_retries > 0 and self.max_retry_wait_sec > 0


class Resilience(_Section, frozen=True, kw_only=True):
    """Every setting of this page, in force."""

    request_queue: RequestQueue = RequestQueue()
    connection_cooldown: Cooldowns = Cooldowns()
    provider_breaker: Breakers = Breakers()
    wait_for_cooldown: WaitForCooldown = WaitForCooldown()


class Defaults(Struct, frozen=True, kw_only=True):
    """What the process starts from: the settings nobody has changed, and the local breaker.

    `protect_api_keys` overrides `autoEnableApiKeyProviders` where it is not None.
    """

    settings: Resilience = Resilience()
    protect_api_keys: bool | None = None
    local_breaker: BreakerRule = BreakerRule(failure_threshold=2, reset_timeout_ms=15_000)


def _preset(
    queue: tuple[int, int, int],
    oauth: tuple[int, int, int, int],
    apikey: tuple[int, int, int, int],
) -> dict[str, Any]:
    """A preset from a row of the spec: queue (a minute, gap, at once), then per category
    cooldown base, backoff steps, breaker threshold, breaker pause."""
    rows = {"oauth": oauth, "apikey": apikey}
    return {
        "requestQueue": dict(
            zip(
                ("requestsPerMinute", "minTimeBetweenRequestsMs", "concurrentRequests"),
                queue,
                strict=True,
            )
        ),
        "connectionCooldown": {
            name: {
                "baseCooldownMs": row[0],
                "useUpstreamRetryHints": name == "apikey" and row[0] < 30_000,
                "maxBackoffSteps": row[1],
            }
            for name, row in rows.items()
        },
        "providerBreaker": {
            name: {"failureThreshold": row[2], "resetTimeoutMs": row[3]}
            for name, row in rows.items()
        },
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "aggressive": _preset((180, 100, 16), (30_000, 4, 2, 30_000), (2_000, 3, 3, 15_000)),
    "balanced": _preset((100, 200, 10), (60_000, 8, 3, 60_000), (3_000, 5, 5, 30_000)),
    "conservative": _preset((60, 350, 6), (120_000, 10, 8, 120_000), (30_000, 8, 8, 60_000)),
}
"""Settings that go together, as changes to whatever is in force. 05 §4.11."""


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with every leaf of `changes` in place."""
    found = dict(base)
    for name, value in changes.items():
        old = found.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        found[name] = merged(old, value) if both and old is not None else value
    return found


def in_force(defaults: Resilience, stored: Mapping[str, Any]) -> Resilience:
    """The settings after an operator's changes.

    Raises:
        msgspec.ValidationError: a name is unknown, or a value is out of its range.
    """
    return msgspec.convert(merged(msgspec.to_builtins(defaults), stored), Resilience)


class Profile(Struct, frozen=True, kw_only=True):
    """What holds for one account of one provider.

    `trusts_kinds`: an open breaker waits as long as the kind of its last failure suggests.
    `model_quotas`: limits of the provider count per model, so they lock models, not accounts.
    """

    threshold: int = 12
    reset_ms: int = 30_000
    base_cooldown_ms: int = 3_000
    max_backoff_steps: int = 5
    retry_hints: bool = True
    trusts_kinds: bool = True
    model_quotas: bool = False

    def open_ms(self, kind: FailureKind) -> int:
        """How long a breaker stays open after a failure of a kind."""
        return PAUSE_BY_KIND_MS.get(kind, self.reset_ms) if self.trusts_kinds else self.reset_ms

    def backoff_ms(self, step: int) -> int:
        """The pause after the failure that follows `step` others in a row."""
        return (self.base_cooldown_ms or 1_000) << min(step, self.max_backoff_steps)


Profiles: TypeAlias = Callable[[str, str], Profile]
"""The profile in force, by provider id and connection id."""


def profile(
    rules: Resilience, local: BreakerRule, category: Category, *, direct: bool, model_quotas: bool
) -> Profile:
    """The rules for an account of a category; `direct` upstreams speak for themselves."""
    cooldown = getattr(rules.connection_cooldown, "oauth" if category == "oauth" else "apikey")
    breaker = local if category == "local" else getattr(rules.provider_breaker, category)
    told = cooldown.use_upstream_429_breaker_hints
    return Profile(
        threshold=breaker.failure_threshold,
        reset_ms=breaker.reset_timeout_ms,
        base_cooldown_ms=cooldown.base_cooldown_ms,
        max_backoff_steps=cooldown.max_backoff_steps,
        retry_hints=cooldown.use_upstream_retry_hints,
        trusts_kinds=(direct and category != "local") if told is None else told,
        model_quotas=model_quotas,
    )
