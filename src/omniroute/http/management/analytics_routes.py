"""Usage over time, limits of accounts and the health of combos, as routes (02 §28)."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Struct

from omniroute.errors import ValidationFailed
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.usage import analytics
from omniroute.operations.usage.analytics import Range

Back = Annotated[Range, QueryParameter(name="range")]
Start = Annotated[str | None, QueryParameter(name="startDate")]
End = Annotated[str | None, QueryParameter(name="endDate")]
Keys = Annotated[str, QueryParameter(name="apiKeyIds")]
Presets = Annotated[str, QueryParameter()]
OfProvider = Annotated[str | None, QueryParameter(name="provider")]


class ProviderLimits(Struct, frozen=True):
    """What is known of every account's limits."""

    limits: list[analytics.LimitLine]


class Utilization(Struct, frozen=True):
    """How quotas went."""

    windows: list[analytics.WindowHistory]


class ComboHealth(Struct, frozen=True):
    """How combos did."""

    combos: list[analytics.ComboLine]


@get("/api/usage/analytics", tags=["Usage"], operation_id="usage_analytics")
async def get_analytics(
    engine: TheEngine,
    operator: Operator,
    range: Back = "30d",  # noqa: A002 - its name outside
    start: Start = None,
    end: End = None,
    keys: Keys = "",
    presets: Presets = "",
) -> analytics.Analytics:
    """What was used and what it cost in a range, in all, by day, provider, model, account and key.
    `presets` names further ranges to sum up, by comma."""
    wanted = tuple(one for one in analytics.RANGES if one in presets.split(","))
    unknown = {one.strip() for one in presets.split(",") if one.strip()} - set(analytics.RANGES)
    if unknown:
        told = f"must be of: {', '.join(analytics.RANGES)}"
        raise ValidationFailed([("presets", told)])
    query = analytics.AnalyticsQuery(
        range=range,
        start=start,
        end=end,
        keys=tuple(one.strip() for one in keys.split(",") if one.strip()),
        presets=wanted,
    )
    return await analytics.analytics(engine, operator, query)


@get("/api/usage/provider-limits", tags=["Usage"], operation_id="provider_limits")
async def get_provider_limits(engine: TheEngine, operator: Operator) -> ProviderLimits:
    """What each account's provider said last of its quota; nobody is asked for it."""
    return ProviderLimits(await analytics.provider_limits(engine, operator))


@get("/api/usage/utilization", tags=["Usage"], operation_id="quota_utilization")
async def get_utilization(
    engine: TheEngine,
    operator: Operator,
    range: Back = "7d",  # noqa: A002
    provider: OfProvider = None,
) -> Utilization:
    """How the quotas of accounts went, as their providers told."""
    return Utilization(await analytics.utilization(engine, operator, range, provider))


@get("/api/usage/combo-health", tags=["Usage"], operation_id="combo_health")
async def get_combo_health(
    engine: TheEngine,
    operator: Operator,
    range: Back = "7d",  # noqa: A002
) -> ComboHealth:
    """How each combo did, and whether its targets' providers can be asked."""
    return ComboHealth(await analytics.combo_health(engine, operator, range))


ANALYTICS: tuple[HTTPRouteHandler, ...] = (
    get_analytics,
    get_provider_limits,
    get_utilization,
    get_combo_health,
)
"""Every route about usage over time."""
