"""Why a plan that holds nothing cannot be tried, and when that changes."""

from omniroute.errors import (
    BudgetExceeded,
    InvalidRequest,
    OmniRouteError,
    RateLimited,
    TargetsUnavailable,
)
from omniroute.routing.plan import Plan
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Branch, Exclusion

_LIMITED = frozenset({"quota_policy", "quota_preflight", "quota_exhausted"}) | frozenset(
    f"{scope}_{reason}"
    for scope in ("cooldown", "model_lockout")
    for reason in ("rate_limited", "quota_exhausted", "daily_quota_exhausted")
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
    if not made.excluded and isinstance(made.survey.root, Branch) and made.strategy == "auto":
        return TargetsUnavailable(
            f"'{made.requested_model}' knows no model of any account. Set the defaultModel of an "
            f"account with POST /api/providers, or ask for provider/model.",
            code="ALL_ACCOUNTS_INACTIVE",
        )
    if not made.excluded:
        where = f"Combo '{made.combo}'" if made.combo else f"Model '{made.requested_model}'"
        return TargetsUnavailable(
            f"{where} has no target with an active account. Add one with POST /api/providers.",
            code="ALL_ACCOUNTS_INACTIVE",
        )
    if reasons == {"another_connection_is_pinned"}:  # coming back would not help
        return InvalidRequest(
            f"The connection this request pins (x-omniroute-connection) is none for "
            f"'{made.requested_model}'. GET /api/providers lists them; without the header any "
            f"connection may answer.",
            param="x-omniroute-connection",
        )
    if "over_budget_cap" in reasons:
        return BudgetExceeded(
            f"Every target of '{made.requested_model}' would cost more than its budget cap. Send "
            f"less, ask for a shorter answer, or raise budgetCap.",
            code="budget_cap_exceeded",
        )
    if reasons <= _LIMITED:
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


def _account_name(row: Exclusion, snapshot: Snapshot) -> str:
    account = snapshot.connections.get(row.connection or "")
    return f"{row.provider} account '{account.name}'" if account else row.provider
