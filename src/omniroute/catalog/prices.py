"""What tokens cost: genai-prices' offline table, turned into integers once per model.

Source: the `genai-prices` package (https://github.com/pydantic/genai-prices).
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from math import ceil

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices
from msgspec import Struct

from omniroute.chat import Usage

PICO_PER_MICRO = 1_000_000


class Rate(Struct, frozen=True):
    """Pico-USD per token. A tier `(start, rate)` replaces the base above `start` input tokens."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        """The rate that holds for a call that reads `input_tokens` in all."""
        return next((rate for start, rate in self.tiers if input_tokens > start), self.base)


class Price(Struct, frozen=True, kw_only=True):
    """Rates of one model, one per disjoint usage bucket.

    None costs like text: thinking, sound and pictures like output or input.
    """

    input: Rate
    output: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_1h: Rate
    reasoning: Rate | None = None
    input_audio: Rate | None = None
    input_image: Rate | None = None
    output_audio: Rate | None = None
    output_image: Rate | None = None

    def dearest_output(self, input_tokens: int) -> int:
        """The most a token of an answer can cost, pico-USD."""
        rates = (self.output, self.reasoning, self.output_audio, self.output_image)
        return max(rate.at(input_tokens) for rate in rates if rate is not None)

    def cost_micro_usd(self, usage: Usage) -> int:
        """Cost of a call, rounded up to whole micro-USD: a ledger never undercounts."""
        total = usage.total_input_tokens
        pico = (
            usage.input_tokens * self.input.at(total)
            + usage.cache_read_tokens * self.cache_read.at(total)
            + usage.cache_write_tokens * self.cache_write.at(total)
            + usage.cache_write_1h_tokens * self.cache_write_1h.at(total)
            + usage.output_tokens * self.output.at(total)
            + usage.reasoning_tokens * (self.reasoning or self.output).at(total)
            + usage.input_audio_tokens * (self.input_audio or self.input).at(total)
            + usage.input_image_tokens * (self.input_image or self.input).at(total)
            + usage.output_audio_tokens * (self.output_audio or self.output).at(total)
            + usage.output_image_tokens * (self.output_image or self.output).at(total)
        )
        return -(-pico // PICO_PER_MICRO)


FREE = Price(
    input=Rate(0), output=Rate(0), cache_read=Rate(0), cache_write=Rate(0), cache_write_1h=Rate(0)
)
"""For models that run on the user's own machine."""


@lru_cache(maxsize=4096)
def price_of(table: str | None, model: str) -> Price | None:
    """The price of `model` in genai-prices' provider `table`; None when nobody states one.

    A date-stamped or vendor-prefixed id falls back to its last path segment (05 §10.1).
    """
    if table is None:
        return None
    for name in dict.fromkeys((model, model.rsplit("/", 1)[-1])):
        try:
            _, found = get_snapshot().find_provider_model(name, None, table, None)
        except LookupError:
            continue
        return _compile(found.get_prices(datetime.now(UTC)))
    return None


def _compile(prices: ModelPrice) -> Price | None:
    read, written = prices.input_mtok, prices.output_mtok
    if read is None and written is None:
        return None
    base = _rate(read) if read is not None else Rate(0)
    cache_write = _rate(prices.cache_write_mtok) if prices.cache_write_mtok is not None else base
    long_lived = _other(prices, "cache_write_1h_mtok")
    return Price(
        input=base,
        output=_rate(written) if written is not None else Rate(0),
        cache_read=_rate(prices.cache_read_mtok) if prices.cache_read_mtok is not None else base,
        cache_write=cache_write,
        cache_write_1h=cache_write if long_lived is None else long_lived,
        reasoning=_other(prices, "output_reasoning_mtok"),
        input_audio=_other(prices, "input_audio_mtok"),
        input_image=_other(prices, "input_image_mtok"),
        output_audio=_other(prices, "output_audio_mtok"),
        output_image=_other(prices, "output_image_mtok"),
    )


def _other(prices: ModelPrice, name: str) -> Rate | None:
    """A rate that few models have."""
    found = getattr(prices, name, None)
    return None if found is None else _rate(found)


def _rate(price: Decimal | TieredPrices) -> Rate:
    if isinstance(price, TieredPrices):
        tiers = sorted(((tier.start, _pico(tier.price)) for tier in price.tiers), reverse=True)
        return Rate(_pico(price.base), tuple(tiers))
    return Rate(_pico(price))


def _pico(usd_per_million: Decimal) -> int:
    # USD per million tokens and micro-USD per token are the same number.
    return ceil(usd_per_million * PICO_PER_MICRO)
