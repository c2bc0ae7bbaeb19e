"""What upstreams that speak like OpenAI say a call cost. Each has its own place for it.

Sources: openrouter.ai/docs/use-cases/usage-accounting (USD), docs.x.ai/developers/cost-tracking
(ticks), docs.perplexity.ai (an object of costs in USD), deepinfra.com/docs (USD).
"""

from decimal import Decimal
from math import ceil, inf
from typing import Any

from msgspec import Struct

TICKS_PER_MICRO_USD = 10_000
"""xAI counts in ten-billionths of a dollar."""


class CostFields(Struct):
    """The fields of a usage object that speak of money. What is none is passed over."""

    cost: Any = None
    is_byok: Any = None
    cost_details: Any = None
    estimated_cost: Any = None
    cost_in_usd_ticks: Any = None


def reported_micro_usd(said: CostFields) -> int | None:
    """The cost of a call in micro-USD, rounded up; None when the upstream does not say."""
    if _is_amount(said.cost_in_usd_ticks):
        return ceil(float(said.cost_in_usd_ticks) / TICKS_PER_MICRO_USD)
    told = said.cost.get("total_cost") if isinstance(said.cost, dict) else said.cost
    usd = next((one for one in (told, said.estimated_cost) if _is_amount(one)), None)
    if usd is None:
        return None
    # With a key of the customer's own, the router's fee comes on top of the provider's bill.
    details = said.cost_details if said.is_byok is True else None
    beside = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    total = Decimal(str(usd)) + Decimal(str(beside if _is_amount(beside) else 0))
    return ceil(total * 1_000_000)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf
