"""Prices an operator states: what they replace of a model's built-in price. Source: 02 §6."""

from collections.abc import Mapping
from math import ceil
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.catalog.prices import PICO_PER_MICRO, Price, Rate

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


def _rate(stated: float | UnsetType, base: Rate | None) -> Rate | None:
    return base if stated is UNSET else Rate(ceil(float(stated) * PICO_PER_MICRO))
