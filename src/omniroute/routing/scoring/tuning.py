"""What a combo's configuration means to its strategy, worked out once per configuration."""

from collections.abc import Sequence

import msgspec

from omniroute.routing.combo_config import ComboConfig, CompositeTiers
from omniroute.routing.targets import Tuning
from omniroute.storage.records.configuration import Step


def tuning_of(config: ComboConfig) -> Tuning:
    """The part of a configuration that strategies read."""
    cap = config.budget_cap
    return Tuning(
        tiered=config.composite_tiers is not None,
        manifest=config.manifest_routing,
        session_weight=config.reset_aware_session_weight,
        weekly_weight=config.reset_aware_weekly_weight,
        tie_band=config.reset_aware_tie_band_percent / 100,
        guard=config.reset_aware_exhaustion_guard_percent / 100,
        weights=msgspec.to_builtins(config.weights) if config.weights is not None else None,
        mode_pack=config.mode_pack,
        exploration=config.exploration_rate or 0.0,
        router=config.router_strategy or "rules",
        budget_cap_micro_usd=None if cap is None else round(cap * 1_000_000),
        cap_is_hard=config.budget_cap_hard,
        pool=config.candidate_pool,
    )


def in_tiers(steps: Sequence[Step], tiers: CompositeTiers | None) -> list[Step]:
    """Steps in the order of their tiers: along the fallbacks from the default, then the other
    tiers, then what is in none. 05 §2.4."""
    if tiers is None:
        return list(steps)
    order: list[str] = []
    name: str | None = tiers.default_tier
    while name is not None and name in tiers.tiers and tiers.tiers[name].step_id not in order:
        order.append(tiers.tiers[name].step_id)
        name = tiers.tiers[name].fallback_tier
    order += [tier.step_id for tier in tiers.tiers.values() if tier.step_id not in order]
    place = {step_id: at for at, step_id in enumerate(order)}
    return sorted(steps, key=lambda step: place.get(step.id, len(order)))
