"""Prices stated by operators and price lists: what they replace of a built-in price. 02 §6."""

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from omniroute.catalog.prices import PICO_PER_MICRO, Price, Rate, price_names

UsdPerMillion = Annotated[float, Meta(ge=0, le=1_000_000)]


class StatedPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens; what is not stated keeps its built-in price.

    `cached` is reading a provider's cache, `cache_creation` writing it.
    """

    input: UsdPerMillion | UnsetType = UNSET
    output: UsdPerMillion | UnsetType = UNSET
    cached: UsdPerMillion | UnsetType = UNSET
    reasoning: UsdPerMillion | UnsetType = UNSET
    cache_creation: UsdPerMillion | UnsetType = UNSET


Stated = Mapping[str, Mapping[str, StatedPrice]]
"""By provider id and model, both in lower case."""


def priced(base: Price | None, stated: StatedPrice) -> Price | None:
    """A price with what was stated in it; None while input and output are still unknown."""
    if base is not None:
        return _with(base, stated, _rate)
    if stated.input is UNSET and stated.output is UNSET:
        return None
    read = _rate(stated.input, Rate(0))
    written = _rate(stated.cache_creation, read)
    return Price(
        input=read,
        output=_rate(stated.output, Rate(0)),
        cache_read=_rate(stated.cached, read),
        cache_write=written,
        cache_write_1h=written,
        reasoning=None if stated.reasoning is UNSET else _rate(stated.reasoning, read),
    )


def refreshed(base: Price | None, synced: StatedPrice) -> Price | None:
    """A built-in price with what a price list says in it, field by field. Lists say nothing of
    tiers for long inputs: those that are known stay."""
    return priced(base, synced) if base is None else _with(base, synced, _retold)


def _with(
    base: Price, stated: StatedPrice, rate: Callable[[float | UnsetType, Rate], Rate]
) -> Price:
    """A price whose rates are what was stated, where anything was."""
    thinking = base.reasoning
    if stated.reasoning is not UNSET:
        thinking = rate(stated.reasoning, base.reasoning or base.output)
    return replace(
        base,
        input=rate(stated.input, base.input),
        output=rate(stated.output, base.output),
        cache_read=rate(stated.cached, base.cache_read),
        cache_write=rate(stated.cache_creation, base.cache_write),
        cache_write_1h=rate(stated.cache_creation, base.cache_write_1h),
        reasoning=thinking,
    )


def merged_price(old: StatedPrice | None, new: StatedPrice) -> StatedPrice:
    """Both together; where both state something, the new one holds."""
    if old is None:
        return new
    fields = {
        name: value if (value := getattr(new, name)) is not UNSET else getattr(old, name)
        for name in StatedPrice.__struct_fields__
    }
    return StatedPrice(**fields)


def layered(layers: Iterable[Stated]) -> dict[str, dict[str, StatedPrice]]:
    """Several layers as one, the later ones over the earlier, field by field."""
    found: dict[str, dict[str, StatedPrice]] = {}
    for layer in layers:
        for provider, models in layer.items():
            known = found.setdefault(provider, {})
            for model, price in models.items():
                known[model] = merged_price(known.get(model), price)
    return found


def named_price(models: Mapping[str, StatedPrice] | None, model: str) -> StatedPrice | None:
    """What is stated of a model under its own name or one that stands for it."""
    if not models:
        return None
    found = (models.get(name) for name in price_names(model.lower()))
    return next((one for one in found if one is not None), None)


def told(price: Price) -> dict[str, float]:
    """A price in the words of the pricing page."""
    rates = {
        "input": price.input,
        "output": price.output,
        "cached": price.cache_read,
        "reasoning": price.reasoning or price.output,
        "cache_creation": price.cache_write,
    }
    return {name: rate.base / PICO_PER_MICRO for name, rate in rates.items()}


def _retold(synced: float | UnsetType, base: Rate) -> Rate:
    return base if synced is UNSET else Rate(ceil(float(synced) * PICO_PER_MICRO), base.tiers)


def _rate(stated: float | UnsetType, base: Rate) -> Rate:
    return base if stated is UNSET else Rate(ceil(float(stated) * PICO_PER_MICRO))
