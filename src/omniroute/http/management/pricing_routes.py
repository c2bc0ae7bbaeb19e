"""Prices as routes (02 §6)."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, patch, post
from omniroute.operations.money import pricing, pricing_sync
from omniroute.operations.money.pricing import PriceMap, Prices, PricingView
from omniroute.operations.money.pricing_sync import SyncInput, SyncResult, SyncStatus


class SyncCleared(Struct, frozen=True):
    """They are forgotten."""

    success: bool = True


WithSources = Annotated[int, QueryParameter(name="includeSources")]
Named = Annotated[str | None, QueryParameter()]


@get("/api/pricing", tags=["Pricing"], operation_id="get_pricing")
async def get_pricing(
    engine: TheEngine, operator: Operator, include_sources: WithSources = 0
) -> Prices | PricingView:
    """What every known model costs, in USD per million tokens; with `includeSources=1` who says
    so."""
    found = await pricing.pricing(engine, operator)
    return found if include_sources else found.pricing


@patch("/api/pricing", tags=["Pricing"], operation_id="state_pricing")
async def state_pricing(
    engine: TheEngine, operator: Operator, data: JSONBody[PriceMap]
) -> PriceMap:
    """Say what models cost; what is not named keeps its price."""
    return await pricing.state_prices(engine, operator, data)


@post("/api/pricing", status_code=200, tags=["Pricing"], operation_id="post_pricing")
async def post_pricing(engine: TheEngine, operator: Operator, data: JSONBody[PriceMap]) -> PriceMap:
    """The same as PATCH, for clients that say POST."""
    return await pricing.state_prices(engine, operator, data)


@delete("/api/pricing", status_code=200, tags=["Pricing"], operation_id="reset_pricing")
async def reset_pricing(
    engine: TheEngine, operator: Operator, provider: Named = None, model: Named = None
) -> Prices:
    """Go back to the built-in price of a model, of a provider's models, or of all."""
    found = await pricing.reset_prices(engine, operator, provider, model)
    return found.pricing


@get("/api/pricing/defaults", tags=["Pricing"], operation_id="default_pricing")
async def default_pricing(engine: TheEngine, operator: Operator) -> Prices:
    """The built-in prices."""
    return await pricing.default_pricing(engine, operator)


@get("/api/pricing/sync", tags=["Pricing"], operation_id="pricing_sync_status")
async def sync_status(engine: TheEngine, operator: Operator) -> SyncStatus:
    """How the prices from public lists stand."""
    return await pricing_sync.sync_status(engine, operator)


@post("/api/pricing/sync", status_code=200, tags=["Pricing"], operation_id="sync_pricing")
async def sync_prices(
    engine: TheEngine, operator: Operator, data: JSONBody[SyncInput]
) -> SyncResult:
    """Ask public lists for prices; what operators have stated holds against them."""
    return await pricing_sync.sync_prices(engine, operator, data)


@delete("/api/pricing/sync", status_code=200, tags=["Pricing"], operation_id="clear_synced_pricing")
async def clear_synced(engine: TheEngine, operator: Operator) -> SyncCleared:
    """Forget the prices from public lists."""
    await pricing_sync.clear_synced_prices(engine, operator)
    return SyncCleared()


PRICING: tuple[HTTPRouteHandler, ...] = (
    get_pricing,
    state_pricing,
    post_pricing,
    reset_pricing,
    default_pricing,
    sync_status,
    sync_prices,
    clear_synced,
)
"""Every route about prices."""
