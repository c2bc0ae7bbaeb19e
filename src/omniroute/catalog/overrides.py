"""Prices stated by operators and price lists: what they replace of a built-in price. 02 §6."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

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
    """A price with what was stated in it; None while input or output is still unknown."""
    read = _rate(stated.input, base.input if base is not None else None)
    written = _rate(stated.output, base.output if base is not None else None)
    if read is None and written is None:
        return None
    read, written = read or Rate(0), written or Rate(0)
    kept = base.cache_read if base is not None and stated.input is UNSET else None
    made = base.cache_write if base is not None and stated.input is UNSET else None
    long_lived = base.cache_write_1h if base is not None and stated.input is UNSET else None
    cache_write = _rate(stated.cache_creation, made) or read
    return Price(
        input=read,
        output=written,
        cache_read=_rate(stated.cached, kept) or read,
        cache_write=cache_write,
        cache_write_1h=_rate(stated.cache_creation, long_lived) or cache_write,
        reasoning=_rate(stated.reasoning, base.reasoning if base is not None else None),
    )


def refreshed(base: Price | None, synced: StatedPrice) -> Price | None:
    """A built-in price with what a price list says in it, field by field. Lists say nothing of
    tiers for long inputs: those that are known stay."""
    if base is None:
        return priced(base, synced)
    return Price(
        input=_retold(synced.input, base.input),
        output=_retold(synced.output, base.output),
        cache_read=_retold(synced.cached, base.cache_read),
        cache_write=_retold(synced.cache_creation, base.cache_write),
        cache_write_1h=_retold(synced.cache_creation, base.cache_write_1h),
        reasoning=_rate(synced.reasoning, base.reasoning),
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


def _rate(stated: float | UnsetType, base: Rate | None) -> Rate | None:
    return base if stated is UNSET else Rate(ceil(float(stated) * PICO_PER_MICRO))
