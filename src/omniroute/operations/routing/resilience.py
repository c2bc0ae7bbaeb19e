"""What an operator sees and sets of resilience: settings, breakers, locked models."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import Conflict, NotFound, ValidationFailed
from omniroute.operations.inputs import convert_input
from omniroute.pipeline.callers.key_policy import DAY_S
from omniroute.routing.resilience.profiles import PRESETS, SETTING, Resilience, merged
from omniroute.routing.snapshot import DEMO_ACCOUNT

InputT = TypeVar("InputT")


class LegacyProfile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Cooldown and breaker of a kind of account, as older clients write them."""

    transient_cooldown: Annotated[int, Meta(ge=0)] | None = None
    rate_limit_cooldown: Annotated[int, Meta(ge=0)] | None = None
    max_backoff_level: Annotated[int, Meta(ge=0)] | None = None
    circuit_breaker_threshold: Annotated[int, Meta(ge=1)] | None = None
    circuit_breaker_reset: Annotated[int, Meta(ge=1)] | None = None


class LegacyDefaults(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The request queue, as older clients write it."""

    requests_per_minute: Annotated[int, Meta(ge=1)] | None = None
    min_time_between_requests: Annotated[int, Meta(ge=0)] | None = None
    concurrent_requests: Annotated[int, Meta(ge=1)] | None = None


class LegacyProfiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Profiles by kind of account."""

    oauth: LegacyProfile = LegacyProfile()
    apikey: LegacyProfile = LegacyProfile()


class LockLine(Struct, frozen=True, rename="camel"):
    """A model of an account that is left alone."""

    provider: str
    connection_id: str
    model: str
    reason: str
    remaining_ms: int
    failure_count: int


class Load(Struct, frozen=True):
    """Requests of one account: in line, and being served."""

    queued: int
    running: int
    executing: int


class LimitLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """One account's line. `rate_limited_until` is ISO-8601."""

    connection_id: str
    provider: str
    name: str
    rate_limit_protection: bool
    enabled: bool
    active: bool
    queued: int
    running: int
    executing: int
    done: int
    rate_limited_until: str | None


class LimitsReport(Struct, frozen=True, rename="camel"):
    """Every account's line. `overview` has those that were used, by `provider:connection`."""

    connections: list[LimitLine]
    overview: dict[str, Load]
    lockouts: list[LockLine]
    cache_stats: dict[str, int]


class Protection(Struct, frozen=True, rename="camel"):
    """Whether an account has a request queue."""

    connection_id: Annotated[str, Meta(min_length=1, max_length=200)]
    enabled: bool


class Unlock(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which lockouts to lift: those of a model at a provider, or all."""

    provider: Annotated[str, Meta(max_length=200)] | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None
    connection_id: Annotated[str, Meta(max_length=200)] | None = None
    all: bool = False


async def get_resilience(engine: Engine, caller: Caller) -> dict[str, Any]:
    """The settings in force, also as older clients read them (02 §13.1)."""
    rules = engine.policy.settings
    shown: dict[str, Any] = msgspec.to_builtins(rules)
    shown["waitForCooldown"]["enabled"] = rules.wait_for_cooldown.on
    return {**shown, "legacy": _legacy(rules)}


async def change_resilience(
    engine: Engine, caller: Caller, changes: dict[str, Any]
) -> dict[str, Any]:
    """Change what is named and keep the rest; in force for the next attempt.

    Args:
        changes: sections of the settings, each in part; `preset` names settings that go
            together, which the other sections then refine.

    Raises:
        ValidationFailed: nothing is named, a name is unknown, or a value is out of its range.
    """
    if not changes:
        raise ValidationFailed([("", "at least one section is needed")])
    wanted = in_todays_words(changes)
    before = engine.policy.settings
    async with engine.configuration.change(caller, "resilience.updated") as work:
        stored = merged(await work.settings.get(SETTING) or {}, wanted)
        require_resilience(engine, stored)
        await work.settings.set(SETTING, stored)
        work.details.update(wanted)
    forget_if_hints_changed(engine, before)
    return {"ok": True, **await get_resilience(engine, caller)}


async def request_limits(engine: Engine, caller: Caller) -> LimitsReport:
    """Every account's line: who waits, who is served, until when it rests."""
    lines, overview = [], {}
    view = engine.health.view()
    for row in engine.snapshot.connections.values():
        if row.id == DEMO_ACCOUNT.id:
            continue
        lanes = list(engine.chat.turnstiles.lanes(row.id))
        queued = sum(lane.queued for lane in lanes)
        running = sum(lane.slots.running for lane in lanes)
        rest = view.cooldowns.get(row.id)
        resting = rest is not None and rest.terminal is None and rest.until_ms > view.now_ms
        protected = engine.policy.protected(row)
        lines.append(
            LimitLine(
                connection_id=row.id,
                provider=row.provider,
                name=row.name,
                rate_limit_protection=protected,
                enabled=protected,
                active=row.is_active,
                queued=queued,
                running=running,
                executing=running,
                done=sum(lane.done for lane in lanes),
                rate_limited_until=iso(rest.until_ms) if rest is not None and resting else None,
            )
        )
        if lanes:
            overview[f"{row.provider}:{row.id}"] = Load(queued, running, running)
    return LimitsReport(lines, overview, await locked_models(engine, caller), {})


async def protect(engine: Engine, caller: Caller, choice: Protection) -> None:
    """Switch the request queue of an account on or off.

    Raises:
        NotFound: there is no such account.
        Conflict: it was found on this machine and is not stored.
    """
    async with engine.configuration.change(
        caller, "provider.credentials.updated", choice.connection_id
    ) as work:
        row = await work.connections.get(choice.connection_id)
        if row is None:
            found = engine.snapshot.connections.get(choice.connection_id)
            if found is None or found.id == DEMO_ACCOUNT.id:
                raise NotFound(f"There is no connection with the id '{choice.connection_id}'.")
            raise Conflict(
                f"Account '{found.name}' was found at start and is not stored. Add it with "
                "POST /api/providers first."
            )
        await work.connections.save(replace(row, rate_limit_protection=choice.enabled))


async def queue_settings(engine: Engine, caller: Caller) -> dict[str, Any]:
    """The limits every account's queue starts from; null is no limit of the gateway's own."""
    queue: dict[str, Any] = msgspec.to_builtins(engine.policy.settings.request_queue)
    rules = engine.admission.default_rules
    per_day = next((rule.limit for rule in rules if rule.window == DAY_S), None)
    return {**queue, "defaultPerKeyPerDay": per_day}


async def reset_breakers(engine: Engine, caller: Caller, provider: str | None = None) -> int:
    """Close the breaker of a provider, or all; how many had counted failures.

    The pauses its accounts were asked for end as well.
    """
    snapshot = engine.snapshot
    if provider is not None:
        provider = snapshot.provider_named(provider) or provider
    rows = snapshot.connections.values()
    engine.chat.turnstiles.start_afresh(
        {row.id for row in rows if provider in (None, row.provider)}
    )
    return engine.health.reset(provider)


async def locked_models(engine: Engine, caller: Caller) -> list[LockLine]:
    """Models of accounts that are left alone, those with the longest rest first."""
    now_ms = engine.now_ms()
    lines = [
        LockLine(*key, row.reason, row.until_ms - now_ms, row.failures)
        for key, row in engine.health.view().lockouts.items()
        if row.until_ms > now_ms
    ]
    return sorted(lines, key=lambda line: -line.remaining_ms)


async def unlock_models(engine: Engine, caller: Caller, which: Unlock) -> bool:
    """Lift lockouts; False when none was in force.

    Raises:
        ValidationFailed: neither `all` nor a provider with a model is named.
    """
    if which.all:
        return engine.health.unlock() > 0
    missing = [name for name in ("provider", "model") if not getattr(which, name)]
    if missing:
        raise ValidationFailed([(name, "is required without 'all'") for name in missing])
    named = str(which.provider)
    provider = engine.snapshot.provider_named(named) or named
    return engine.health.unlock(provider, which.model, which.connection_id) > 0


def require_resilience(engine: Engine, stored: Mapping[str, Any]) -> None:
    """Refuse settings that do not fit over the defaults.

    Raises:
        ValidationFailed: a name is unknown, or a value is out of its range.
    """
    base = msgspec.to_builtins(engine.policy.defaults.settings)
    convert_input(Resilience, merged(base, stored))


def forget_if_hints_changed(engine: Engine, before: Resilience) -> None:
    """Breakers begin anew where what counts for them is another thing now."""
    if _breaker_hints(before) != _breaker_hints(engine.policy.settings):
        engine.health.reset()


def in_todays_words(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes in today's words: presets and older spellings resolved.

    Raises:
        ValidationFailed: there is no such preset, or an older spelling does not fit.
    """
    rest = dict(changes)
    preset, profiles, defaults = (rest.pop(key, None) for key in ("preset", "profiles", "defaults"))
    wanted: dict[str, Any] = {}
    if preset is not None:
        if not isinstance(preset, str) or preset not in PRESETS:
            hint = did_you_mean(str(preset), PRESETS)
            problem = f"must be one of: {', '.join(PRESETS)}.{hint}"
            raise ValidationFailed([("preset", problem)])
        wanted = merged(wanted, PRESETS[preset])
    if profiles is not None:
        wanted = merged(wanted, _from_profiles(_checked(LegacyProfiles, "profiles", profiles)))
    if defaults is not None:
        old = _checked(LegacyDefaults, "defaults", defaults)
        queue = {
            "requestsPerMinute": old.requests_per_minute,
            "minTimeBetweenRequestsMs": old.min_time_between_requests,
            "concurrentRequests": old.concurrent_requests,
        }
        wanted = merged(wanted, {"requestQueue": _given(queue)})
    return merged(wanted, rest)


def _checked(kind: type[InputT], section: str, value: object) -> InputT:
    try:
        return convert_input(kind, value)
    except ValidationFailed as error:
        problems = [(f"{section}.{field}".strip("."), text) for field, text in error.problems]
        raise ValidationFailed(problems) from error


def _from_profiles(profiles: LegacyProfiles) -> dict[str, Any]:
    cooldowns: dict[str, Any] = {}
    breakers: dict[str, Any] = {}
    for name in ("oauth", "apikey"):
        old: LegacyProfile = getattr(profiles, name)
        limited, transient = old.rate_limit_cooldown, old.transient_cooldown
        bases = [value for value in (transient, limited) if value is not None]
        cooldowns[name] = _given(
            {
                "baseCooldownMs": max(bases) if bases else None,
                "useUpstreamRetryHints": None if limited is None else limited == 0,
                "maxBackoffSteps": old.max_backoff_level,
            }
        )
        breakers[name] = _given(
            {
                "failureThreshold": old.circuit_breaker_threshold,
                "resetTimeoutMs": old.circuit_breaker_reset,
            }
        )
    return {"connectionCooldown": cooldowns, "providerBreaker": breakers}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _breaker_hints(rules: Resilience) -> tuple[bool | None, bool | None]:
    cooldown = rules.connection_cooldown
    return (
        cooldown.oauth.use_upstream_429_breaker_hints,
        cooldown.apikey.use_upstream_429_breaker_hints,
    )


def _legacy(rules: Resilience) -> dict[str, Any]:
    profiles = {}
    for name in ("oauth", "apikey"):
        cooldown = getattr(rules.connection_cooldown, name)
        breaker = getattr(rules.provider_breaker, name)
        hinted = cooldown.use_upstream_retry_hints
        profiles[name] = {
            "transientCooldown": cooldown.base_cooldown_ms,
            "rateLimitCooldown": 0 if hinted else cooldown.base_cooldown_ms,
            "maxBackoffLevel": cooldown.max_backoff_steps,
            "circuitBreakerThreshold": breaker.failure_threshold,
            "circuitBreakerReset": breaker.reset_timeout_ms,
        }
    queue = rules.request_queue
    return {
        "profiles": profiles,
        "defaults": {
            "requestsPerMinute": queue.requests_per_minute,
            "minTimeBetweenRequests": queue.min_time_between_requests_ms,
            "concurrentRequests": queue.concurrent_requests,
        },
    }
