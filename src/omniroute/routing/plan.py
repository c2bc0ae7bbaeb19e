"""The planner: a pure function from a request and the state of the world to an ordered plan.

Simulate, explain and the real run all use this one function; nothing here does I/O, reads a
clock or draws a number that was not handed in.
"""

import fnmatch
import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

from omniroute.catalog.models import known_models
from omniroute.catalog.names import did_you_mean
from omniroute.errors import (
    Forbidden,
    InvalidRequest,
    NoCredentials,
    OmniRouteError,
    RateLimited,
    TargetsUnavailable,
)
from omniroute.routing.health import HealthView
from omniroute.routing.resolve import (
    AutoRoute,
    NamedCombo,
    SingleModel,
    checked_name,
    resolve,
    suggest_model,
)
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.strategies import STRATEGIES, RoutingView
from omniroute.storage.records import Combo, ComboStep, ModelStep

MAX_COMBO_DEPTH = 3


class RouteFacts(Struct, frozen=True, kw_only=True):
    """All the planner may know about a request. Empty `allowed_*` mean no restriction."""

    model: str
    allowed_models: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    pinned_connection: str | None = None


class Target(Struct, frozen=True, kw_only=True):
    """A provider and one of its models, perhaps pinned to one account."""

    provider: str
    model: str
    connection: str | None = None
    step: str | None = None
    extended_context: bool = False


class Candidate(Struct, frozen=True, kw_only=True):
    """A target at one account, with why it stands where it stands."""

    provider: str
    model: str
    connection: str
    step: str | None = None
    extended_context: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str, str]:
        """Provider, account and model: what health is kept of."""
        return self.provider, self.connection, self.model


class Exclusion(Struct, frozen=True, kw_only=True):
    """A candidate that is not tried, and why. `until_ms` is epoch ms, None when unknown."""

    provider: str
    model: str
    connection: str | None
    reason: str
    until_ms: int | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """What will be tried, in order, and what will not. `refusal` says why nothing will."""

    requested_model: str
    combo: str | None
    strategy: str
    snapshot_version: int
    seed: int
    planned_at_ms: int
    candidates: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]
    notes: tuple[str, ...] = ()


def plan(facts: RouteFacts, snapshot: Snapshot, health: HealthView, seed: int) -> Plan:
    """Order everything that could answer `facts`.

    Raises:
        InvalidRequest: the model name is malformed, unknown, ambiguous or has no account.
        Forbidden: the caller's key may not use this model.
    """
    name = checked_name(facts.model)
    resolution = resolve(name, snapshot)
    notes: list[str] = []
    excluded: list[Exclusion] = []
    view = RoutingView(rng=random.Random(seed))  # noqa: S311 - a recorded seed is the point
    label: str | None
    match resolution:
        case NamedCombo(combo):
            label, strategy = combo.name, combo.strategy
            targets = _combo_targets(combo, snapshot, notes, (combo.name,))
        case AutoRoute(variant):
            label, strategy = "auto", "priority"
            if variant is not None:
                notes.append(f"'{variant}' does not weigh accounts yet: their order holds")
            targets = _auto_targets(snapshot)
        case SingleModel(provider, model, extended):
            label, strategy = None, "priority"
            targets = [Target(provider=provider, model=model, extended_context=extended)]
            _require_account(name, provider, snapshot)
    _require_permission(facts, name, label, targets, snapshot)
    if strategy not in STRATEGIES:
        notes.append(f"strategy '{strategy}' is not built yet: the order of the list holds")
        strategy = "priority"
    ordered = STRATEGIES[strategy](targets, view) if targets else []
    candidates = [
        candidate
        for place, target in enumerate(ordered)
        for candidate in _candidates(target, place, strategy, facts, snapshot, health, excluded)
    ]
    return Plan(
        requested_model=facts.model,
        combo=label,
        strategy=strategy,
        snapshot_version=snapshot.version,
        seed=seed,
        planned_at_ms=health.now_ms,
        candidates=tuple(candidates),
        excluded=tuple(excluded),
        notes=tuple(notes),
    )


def recovery_ms(made: Plan) -> int | None:
    """How long until a plan without candidates would have one, when only pauses stand in its way.

    None when waiting cannot help: for a combo, which has gone on already, for an open breaker,
    and for what only an operator can mend.
    """
    pauses = [
        row for row in made.excluded if row.reason.startswith(("cooldown_", "model_lockout_"))
    ]
    untils = [row.until_ms for row in pauses if row.until_ms is not None]
    if made.combo is not None or not untils:
        return None
    return max(0, min(untils) - made.planned_at_ms)


def refusal(made: Plan, snapshot: Snapshot) -> OmniRouteError:
    """Why a plan without candidates cannot be tried, with the earliest time that changes."""
    waits = [row.until_ms for row in made.excluded if row.until_ms is not None]
    retry_after_s = max(1, -(-(min(waits) - made.planned_at_ms) // 1000)) if waits else None
    reasons = {row.reason for row in made.excluded}
    if not made.excluded:
        where = f"Combo '{made.combo}'" if made.combo else f"Model '{made.requested_model}'"
        return TargetsUnavailable(
            f"{where} has no target with an active account. Add one with POST /api/providers.",
            code="ALL_ACCOUNTS_INACTIVE",
        )
    if reasons == {"cooldown_rate_limited"}:
        return RateLimited(
            f"Every account for '{made.requested_model}' has reached its rate limit.",
            code="model_cooldown",
            retry_after_s=retry_after_s,
            extras={"model": made.requested_model, "reset_seconds": retry_after_s},
        )
    if reasons == {"provider_circuit_open"}:
        provider = made.excluded[0].provider
        return TargetsUnavailable(
            f"Provider '{provider}' keeps failing and is paused.",
            code="provider_circuit_open",
            retry_after_s=retry_after_s,
            extras={"provider": provider, "retry_after": retry_after_s},
        )
    told = "; ".join(
        f"{_account_name(row, snapshot)}: {row.reason.replace('_', ' ')}" for row in made.excluded
    )
    return TargetsUnavailable(
        f"Nothing can answer '{made.requested_model}' right now ({told}).",
        retry_after_s=retry_after_s,
        extras={"model": made.requested_model},
    )


def model_allowed(entries: Sequence[str], names: Sequence[str]) -> bool:
    """Whether any of `names` passes a key's `allowedModels` (empty list: everything does)."""
    return not entries or any(
        name == entry
        or (entry.endswith("/*") and name.startswith(entry[:-1]))
        or ("*" in entry and fnmatch.fnmatchcase(name, _only_stars(entry)))
        for entry in entries
        for name in names
    )


def _only_stars(entry: str) -> str:
    """`entry` as a pattern in which nothing but `*` is special."""
    return entry.replace("[", "[[]").replace("?", "[?]")


def _require_account(name: str, provider: str, snapshot: Snapshot) -> None:
    if snapshot.accounts.get(provider):
        return
    row = snapshot.providers[provider]
    env = f" or start the gateway with {row.env[0]} set" if row.env else ""
    listed = [model.id for model in known_models(provider)]
    hint = suggest_model(name, snapshot) or (
        "" if name in listed else did_you_mean(name.rsplit("/", 1)[-1], listed)
    )
    raise NoCredentials(
        f"No credentials are configured for provider '{provider}' (asked for '{name}'). Add an "
        f"account with POST /api/providers{env}.{hint}",
        param="model",
    )


def _require_permission(
    facts: RouteFacts, name: str, combo: str | None, targets: Sequence[Target], snapshot: Snapshot
) -> None:
    spellings = [name] if combo is None else [name, combo]
    if combo is None:
        for target in targets:
            prefixes = (target.provider, *snapshot.providers[target.provider].names)
            spellings += [f"{prefix}/{target.model}" for prefix in prefixes]
    if not model_allowed(facts.allowed_models, spellings):
        raise Forbidden(f"This API key may not use the model '{name}'.", param="model")


def _combo_targets(
    combo: Combo, snapshot: Snapshot, notes: list[str], path: tuple[str, ...]
) -> list[Target]:
    """Depth-first, in step order; a combo already on the path adds nothing (05 §2.3)."""
    targets: list[Target] = []
    for step in combo.steps:
        match step:
            case ComboStep(combo_name=inner):
                nested = snapshot.combos.get(inner)
                if nested is None or not nested.is_active:
                    notes.append(f"combo '{inner}' does not exist or is switched off")
                elif inner in path or len(path) > MAX_COMBO_DEPTH:
                    notes.append(f"combo '{inner}' is nested in itself or too deep")
                else:
                    targets += _combo_targets(nested, snapshot, notes, (*path, inner))
            case ModelStep():
                target = _step_target(step, snapshot, notes)
                if target is not None and target.provider in (
                    combo.allowed_providers or (target.provider,)
                ):
                    targets.append(target)
    return targets


def _step_target(step: ModelStep, snapshot: Snapshot, notes: list[str]) -> Target | None:
    try:
        found = resolve(step.model, snapshot)
    except InvalidRequest as error:
        notes.append(f"step '{step.id}': {error}")
        return None
    if not isinstance(found, SingleModel):
        notes.append(f"step '{step.id}' does not name one model")
        return None
    return Target(
        provider=found.provider,
        model=found.model,
        connection=step.connection_id,
        step=step.id,
        extended_context=found.extended_context,
    )


def _auto_targets(snapshot: Snapshot) -> list[Target]:
    """One target per active account; the demo only where nothing else exists."""
    real = {name: rows for name, rows in snapshot.accounts.items() if name != "demo"}
    accounts = [row for rows in (real or snapshot.accounts).values() for row in rows]
    accounts.sort(key=lambda row: (row.global_priority or 100, row.priority))
    return [
        Target(provider=account.provider, model=model, connection=account.id)
        for account in accounts
        if (model := snapshot.default_model(account)) is not None
    ]


def _candidates(
    target: Target,
    place: int,
    strategy: str,
    facts: RouteFacts,
    snapshot: Snapshot,
    health: HealthView,
    excluded: list[Exclusion],
) -> Iterator[Candidate]:
    accounts = snapshot.accounts.get(target.provider, ())
    chosen = [row for row in accounts if target.connection in (None, row.id)]
    if not chosen:
        excluded.append(_excluded(target, target.connection, "no_active_account"))
    for rank, account in enumerate(chosen):
        if facts.allowed_connections and account.id not in facts.allowed_connections:
            excluded.append(_excluded(target, account.id, "not_allowed_for_key"))
            continue
        if facts.pinned_connection not in (None, account.id):
            excluded.append(_excluded(target, account.id, "another_connection_is_pinned"))
            continue
        blocked = health.blocked(target.provider, account.id, target.model)
        if blocked is not None and facts.pinned_connection is None:
            excluded.append(_excluded(target, account.id, *blocked))
            continue
        reasons = [f"target {place + 1} by strategy {strategy}"]
        if len(chosen) > 1:
            reasons.append(f"account {rank + 1} of {len(chosen)} by priority {account.priority}")
        if facts.pinned_connection == account.id:
            reasons.append("pinned by the caller")
        yield Candidate(
            provider=target.provider,
            model=target.model,
            connection=account.id,
            step=target.step,
            extended_context=target.extended_context,
            reasons=tuple(reasons),
        )


def _excluded(
    target: Target, connection: str | None, reason: str, until_ms: int | None = None
) -> Exclusion:
    return Exclusion(
        provider=target.provider,
        model=target.model,
        connection=connection,
        reason=reason,
        until_ms=until_ms,
    )


def _account_name(row: Exclusion, snapshot: Snapshot) -> str:
    account = snapshot.connections.get(row.connection or "")
    return f"{row.provider} account '{account.name}'" if account else row.provider
