"""How a combo behaves at run time: its `config`, and the defaults it stands on (02 §7.4)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from omniroute.storage.records.configuration import Combo

StrategyName: TypeAlias = Literal[
    "priority",
    "weighted",
    "round-robin",
    "context-relay",
    "fill-first",
    "p2c",
    "random",
    "least-used",
    "cost-optimized",
    "reset-aware",
    "strict-random",
    "auto",
    "lkgp",
    "context-optimized",
]
CompressionMode: TypeAlias = Literal[
    "off", "lite", "standard", "aggressive", "ultra", "rtk", "stacked"
]

_Share = Annotated[float, Meta(ge=0, le=1)]
_Percent = Annotated[float, Meta(ge=0, le=100)]
_WaitMs = Annotated[int, Meta(ge=0, le=60_000)]
_Name = Annotated[str, Meta(max_length=200)]
_TierName = Annotated[str, Meta(min_length=1, max_length=100)]


class Weights(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What each factor of `auto` counts, 0 to 1. Factors without a weight count nothing."""

    quota: _Share
    health: _Share
    cost_inv: _Share
    latency_inv: _Share
    task_fit: _Share
    stability: _Share
    tier_priority: _Share = 0.05
    specificity_match: _Share = 0
    tier_affinity: _Share = 0


class Tier(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One step of a combo, and the tier that is tried after it."""

    step_id: Annotated[str, Meta(min_length=1, max_length=200)]
    fallback_tier: _TierName | None = None
    label: Annotated[str, Meta(max_length=200)] | None = None
    description: Annotated[str, Meta(max_length=500)] | None = None


class CompositeTiers(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An order of steps told as tiers that fall back to one another (02 §7.5)."""

    default_tier: _TierName
    tiers: Annotated[dict[_TierName, Tier], Meta(min_length=1)]


class ComboConfig(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Everything that steers one combo. Times are milliseconds.

    `max_retries` asks a target again before the next one, which is otherwise asked at once.
    `nested_mode` says whether a nested combo keeps its own strategy (`opaque`) or only gives its
    steps (`flatten`). `budget_cap` is USD per request, and only a preference unless
    `budget_cap_hard`. An empty `handoff_providers` means every provider whose quota can be asked
    for. `hedge_after_ms` starts a second attempt beside one that has said nothing for so long.
    `stop_on_client_error` gives a malformed request back even where another target might take it.
    `concurrency_per_model` is how many requests the combo has at one target at once, those beyond
    wait for `queue_timeout_ms`; unset, it has no limit of its own. `timeout_ms` is how long one
    attempt may take to its whole reply, or to a stream's first content.
    """

    strategy: StrategyName | None = None
    max_retries: Annotated[int, Meta(ge=0, le=10)] = 0
    retry_delay_ms: _WaitMs = 2_000
    fallback_delay_ms: _WaitMs = 0
    concurrency_per_model: Annotated[int, Meta(ge=1, le=20)] | None = None
    queue_timeout_ms: Annotated[int, Meta(ge=1_000, le=120_000)] = 30_000
    timeout_ms: Annotated[int, Meta(ge=1_000)] | None = None
    health_check_enabled: bool = False
    health_check_timeout_ms: Annotated[int, Meta(ge=100, le=30_000)] | None = None
    handoff_threshold: Annotated[float, Meta(ge=0.5, le=0.94)] = 0.85
    handoff_model: _Name = ""
    handoff_providers: Annotated[tuple[_Name, ...], Meta(max_length=10)] = ()
    max_messages_for_summary: Annotated[int, Meta(ge=5, le=100)] = 30
    max_combo_depth: Annotated[int, Meta(ge=1, le=10)] = 3
    track_metrics: bool = True
    manifest_routing: bool = False
    reset_aware_session_weight: _Percent = 0.35
    reset_aware_weekly_weight: _Percent = 0.65
    reset_aware_tie_band_percent: _Percent = 5
    reset_aware_exhaustion_guard_percent: _Percent = 10
    candidate_pool: tuple[str, ...] = ()
    weights: Weights | None = None
    mode_pack: Annotated[str, Meta(max_length=100)] | None = None
    budget_cap: Annotated[float, Meta(gt=0)] | None = None
    budget_cap_hard: bool = False
    exploration_rate: _Share | None = None
    router_strategy: str | None = None
    compression_mode: CompressionMode | None = None
    composite_tiers: CompositeTiers | None = None
    nested_mode: Literal["opaque", "flatten"] = "opaque"
    hedge_after_ms: Annotated[int, Meta(ge=50, le=60_000)] | None = None
    mid_stream_failover: bool = False
    stop_on_client_error: bool = False


DEFAULTS = ComboConfig()


def read_config(written: Mapping[str, Any]) -> ComboConfig:
    """A `config` as an operator wrote it: null says nothing, numbers may be texts.

    Raises:
        msgspec.ValidationError: a key is unknown or its value out of range.
    """
    return msgspec.convert(_said(written), ComboConfig, strict=False)


def effective(settings: Mapping[str, Any], provider: str | None, combo: Combo) -> ComboConfig:
    """What holds for one target: each layer fills in what the next one leaves open.

    The layers are the built-in defaults, the settings `comboDefaults` and `providerOverrides`,
    and the combo's own config. A stored value that is not valid counts as not said: it must
    never stand between a request and its answer.
    """
    overrides = _mapping(settings.get("providerOverrides"))
    general = {
        **_said(_mapping(settings.get("comboDefaults"))),
        **_said(_mapping(overrides.get(provider)) if provider is not None else {}),
    }
    general.pop("compositeTiers", None)  # tiers name steps of one combo
    merged = {**general, **_said(combo.config)}
    if not merged:
        return DEFAULTS
    try:
        return read_config(merged)
    except msgspec.ValidationError:
        layers = (general, _said(combo.config))
        return read_config({key: one for rows in layers for key, one in _valid(rows).items()})


def tier_problems(tiers: CompositeTiers, step_ids: Iterable[str]) -> list[tuple[str, str]]:
    """What is wrong with composite tiers, as `(dotted field, message)`; empty if nothing."""
    known, used = set(step_ids), dict[str, str]()
    problems = list[tuple[str, str]]()
    root = "config.compositeTiers"
    if tiers.default_tier not in tiers.tiers:
        problems.append((f"{root}.defaultTier", f"there is no tier '{tiers.default_tier}'"))
    for name, tier in tiers.tiers.items():
        at = f"{root}.tiers.{name}"
        if tier.step_id not in known:
            problems.append((f"{at}.stepId", f"this combo has no step '{tier.step_id}'"))
        elif tier.step_id in used:
            problems.append((f"{at}.stepId", f"is also in tier '{used[tier.step_id]}'"))
        used.setdefault(tier.step_id, name)
        if tier.fallback_tier == name:
            problems.append((f"{at}.fallbackTier", "is the tier itself"))
        elif tier.fallback_tier is not None and tier.fallback_tier not in tiers.tiers:
            problems.append((f"{at}.fallbackTier", f"there is no tier '{tier.fallback_tier}'"))
        elif _returns(name, tiers.tiers):
            problems.append((f"{at}.fallbackTier", "leads back to this tier"))
    return problems


def _returns(name: str, tiers: Mapping[str, Tier]) -> bool:
    seen: set[str] = set()
    at = tiers[name].fallback_tier
    while at is not None and at in tiers and at not in seen:
        if at == name:
            return True
        seen.add(at)
        at = tiers[at].fallback_tier
    return False


def _valid(written: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict[str, Any]()
    for key, value in written.items():
        try:
            read_config({key: value})
        except msgspec.ValidationError:
            continue
        kept[key] = value
    return kept


def _said(written: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
