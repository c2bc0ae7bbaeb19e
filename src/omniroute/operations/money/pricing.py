"""Prices: what models cost, and what operators say they cost. Source: 02 §6, 05 §10.1."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.models import known_models
from omniroute.catalog.names import did_you_mean
from omniroute.catalog.overrides import Stated, StatedPrice, merged_price, named_price, told
from omniroute.catalog.prices import Price
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.routing.snapshot import Snapshot

Prices: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""USD per million tokens, by provider and model."""

PriceOrigin: TypeAlias = Literal["default", "litellm", "modelsDev", "user"]
"""Who has the last word on a price: the build, a price list, or an operator."""

PriceMap: TypeAlias = dict[
    Annotated[str, Meta(min_length=1, max_length=200)],
    dict[Annotated[str, Meta(min_length=1, max_length=300)], StatedPrice],
]


class PricingView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Prices, and where each comes from when that was asked."""

    pricing: Prices
    source_map: dict[str, dict[str, PriceOrigin]] | UnsetType = UNSET


async def pricing(engine: Engine, caller: Caller) -> PricingView:
    """What every known model costs, with who says so."""
    prices: Prices = {}
    sources: dict[str, dict[str, PriceOrigin]] = {}
    snapshot = engine.snapshot
    for provider in snapshot.providers:
        for model in _priced_models(snapshot, provider):
            price = snapshot.price(provider, model)
            if price is not None:
                prices.setdefault(provider, {})[model] = told(price)
                sources.setdefault(provider, {})[model] = _origin(snapshot, provider, model)
    return PricingView(pricing=prices, source_map=sources)


def _priced_models(snapshot: Snapshot, provider: str) -> list[str]:
    """Every model of a provider somebody states a price of, each once, whatever its case."""
    found = {model.id.lower(): model.id for model in known_models(provider)}
    for stated in (snapshot.synced_prices.merged, snapshot.stated_prices):
        for model in stated.get(provider, ()):
            found.setdefault(model, model)
    return list(found.values())


def _origin(snapshot: Snapshot, provider: str, model: str) -> PriceOrigin:
    """Who has the last word on a price."""
    if named_price(snapshot.stated_prices.get(provider), model) is not None:
        return "user"
    layers = snapshot.synced_prices.layers
    says = [name for name, rows in layers.items() if named_price(rows.get(provider), model)]
    return says[-1] if says else "default"


async def default_pricing(engine: Engine, caller: Caller) -> Prices:
    """What the built-in table says."""
    found: Prices = {}
    for provider in engine.snapshot.providers:
        for model in known_models(provider):
            price: Price | None = engine.snapshot.built_in_price(provider, model.id)
            if price is not None:
                found.setdefault(provider, {})[model.id] = told(price)
    return found


async def state_prices(engine: Engine, caller: Caller, written: PriceMap) -> PriceMap:
    """State prices; what is not named keeps its price. In force from the next request on.

    Returns:
        Everything that operators have stated.

    Raises:
        ValidationFailed: nothing is stated, or there is no such provider.
    """
    if not written:
        raise ValidationFailed([("", "at least one price is needed")])
    async with engine.configuration.change(caller, "pricing.updated") as work:
        stated = with_prices(engine, await work.prices.stated(), written)
        for named in written:
            provider = _provider(engine, named)
            await work.prices.save(provider, stated[provider])
    return {name: dict(models) for name, models in engine.snapshot.stated_prices.items()}


def with_prices(
    engine: Engine, stated: Stated, written: PriceMap
) -> dict[str, dict[str, StatedPrice]]:
    """What operators have stated, with what is written now over it.

    Raises:
        ValidationFailed: there is no such provider.
    """
    found = {name: dict(models) for name, models in stated.items()}
    for named, models in written.items():
        known = found.setdefault(_provider(engine, named), {})
        for model, price in models.items():
            known[model.lower()] = merged_price(known.get(model.lower()), price)
    return found


async def reset_prices(
    engine: Engine, caller: Caller, provider: str | None, model: str | None
) -> PricingView:
    """Forget what was stated of one model, of one provider, or of all; the prices that hold now.

    Raises:
        ValidationFailed: there is no such provider, or a model is named without one.
    """
    if model is not None and provider is None:
        raise ValidationFailed([("provider", "is needed beside a model")])
    async with engine.configuration.change(caller, "pricing.reset", provider) as work:
        for name, models in (await work.prices.stated()).items():
            if provider is not None and name != _provider(engine, provider):
                continue
            kept = {} if model is None else dict(models)
            kept.pop((model or "").lower(), None)
            await work.prices.save(name, kept)
    return await pricing(engine, caller)


def _provider(engine: Engine, named: str) -> str:
    """The id of a provider, by id, alias or prefix, whatever its case."""
    snapshot = engine.snapshot
    found = snapshot.provider_named(named) or snapshot.provider_named(named.lower())
    if found is None:
        hint = did_you_mean(named, snapshot.prefixes)
        raise ValidationFailed([(named, f"is no provider.{hint}")])
    return found
