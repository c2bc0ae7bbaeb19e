"""Prices: whole numbers, never less than the truth, tiers by what is read."""

from decimal import Decimal

import pytest
from genai_prices.types import ModelPrice, Tier, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from omniroute.catalog.prices import FREE, Price, Rate, _compile, price_of
from omniroute.chat import Usage

USD = st.decimals(min_value=0, max_value=1000, places=9)
counts = st.integers(0, 2_000_000)


def compiled(**prices: Decimal | TieredPrices) -> Price:
    made = _compile(ModelPrice(**prices))
    assert made is not None
    return made


@given(USD, USD, counts, counts)
def test_a_cost_is_the_exact_sum_rounded_up(
    read: Decimal, written: Decimal, read_tokens: int, written_tokens: int
) -> None:
    price = compiled(input_mtok=read, output_mtok=written)
    cost = price.cost_micro_usd(Usage(input_tokens=read_tokens, output_tokens=written_tokens))
    # USD per million tokens times tokens is micro-USD.
    exact = read * read_tokens + written * written_tokens
    assert exact <= cost
    # Rates are whole pico-USD per token, so that they are over by less than one of them each.
    assert cost - exact < 1 + Decimal(read_tokens + written_tokens) / 1_000_000


ROUNDED = {
    "a whole number": (1, 15, 15),
    "a part of one": (1, Decimal("0.15"), 1),
    "just over": (7, Decimal("0.15"), 2),
    "nothing read": (0, 15, 0),
    "a price finer than our unit": (1_000_000, Decimal("0.0000001"), 1),
}


@pytest.mark.parametrize(("tokens", "usd", "cost"), ROUNDED.values(), ids=ROUNDED)
def test_costs_round_up(tokens: int, usd: Decimal, cost: int) -> None:
    assert compiled(input_mtok=Decimal(usd)).cost_micro_usd(Usage(input_tokens=tokens)) == cost


TIERED = TieredPrices(
    base=Decimal(1),
    tiers=[Tier(start=200_000, price=Decimal(2)), Tier(start=500_000, price=Decimal(4))],
)
TIERS = {0: 1, 199_999: 1, 200_000: 1, 200_001: 2, 500_000: 2, 500_001: 4, 10**7: 4}


@pytest.mark.parametrize(("tokens", "usd"), TIERS.items())
def test_a_tier_holds_above_its_start(tokens: int, usd: int) -> None:
    assert compiled(input_mtok=TIERED).input.at(tokens) == usd * 1_000_000


def test_a_tier_is_chosen_by_all_that_is_read_cached_or_not() -> None:
    price = compiled(input_mtok=TIERED, output_mtok=TIERED)
    usage = Usage(input_tokens=100_000, cache_read_tokens=100_001, output_tokens=10)
    assert price.cost_micro_usd(usage) == 2 * 200_001 + 2 * 10


def test_every_bucket_has_its_own_rate() -> None:
    price = Price(
        input=Rate(1_000_000),
        output=Rate(10_000_000),
        cache_read=Rate(100_000_000),
        cache_write=Rate(1_000_000_000),
        cache_write_1h=Rate(10_000_000_000),
    )
    usage = Usage(
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_tokens=3,
        cache_write_1h_tokens=4,
        output_tokens=2,
        reasoning_tokens=3,
    )
    assert price.cost_micro_usd(usage) == 1 + 200 + 3_000 + 40_000 + 50


def test_cached_tokens_cost_what_plain_ones_do_where_no_price_is_stated() -> None:
    price = compiled(input_mtok=Decimal(3))
    rates = (price.cache_read, price.cache_write, price.cache_write_1h)
    assert rates == (price.input,) * 3


def test_free_is_not_unknown() -> None:
    assert FREE.cost_micro_usd(Usage(input_tokens=10**9, output_tokens=10**9)) == 0
    assert _compile(ModelPrice()) is None


FOUND = {
    "a listed model": ("openai", "gpt-4o-mini", True),
    "one with a vendor before it": ("openai", "openai/gpt-4o-mini", True),
    "a model nobody lists": ("openai", "no-such-model-at-all", False),
    "a list that does not exist": ("nobody", "gpt-4o-mini", False),
    "no list": (None, "gpt-4o-mini", False),
}


@pytest.mark.parametrize(("table", "model", "known"), FOUND.values(), ids=FOUND)
def test_a_price_is_known_or_not(table: str | None, model: str, known: bool) -> None:
    assert (price_of(table, model) is not None) is known


def test_a_known_price_is_the_one_its_source_states() -> None:
    price = price_of("openai", "gpt-4o-mini")
    assert price is not None
    assert (price.input.base, price.output.base) == (150_000, 600_000)
