"""Public price lists are read as they are: their names, their units, and what is wrong in them."""

import json
from typing import Any

import msgspec
import pytest

from omniroute.catalog.overrides import StatedPrice, layered, named_price, priced, refreshed
from omniroute.catalog.price_documents import (
    LITELLM_PROVIDERS,
    MODELS_DEV_PROVIDERS,
    read_litellm,
    read_models_dev,
)
from omniroute.catalog.prices import Price, Rate, price_names
from omniroute.catalog.providers import PROVIDERS

IN, OUT = 3e-06, 1.5e-05
STATED = StatedPrice(input=3, output=15)


def entry(provider: str, **more: Any) -> dict[str, Any]:
    return {
        "litellm_provider": provider,
        "input_cost_per_token": IN,
        "output_cost_per_token": OUT,
        "mode": "chat",
        **more,
    }


LITELLM: dict[str, tuple[dict[str, Any], dict[str, dict[str, StatedPrice]]]] = {
    "a bare name": ({"gpt-5": entry("openai")}, {"openai": {"gpt-5": STATED}}),
    "a name behind its provider": ({"gemini/pro": entry("gemini")}, {"gemini": {"pro": STATED}}),
    "a name with slashes of its own": (
        {"fireworks_ai/accounts/fireworks/models/x": entry("fireworks_ai")},
        {"fireworks": {"accounts/fireworks/models/x": STATED}},
    ),
    "a provider of another name": (
        {"together_ai/Org/Model": entry("together_ai")},
        {"together": {"org/model": STATED}},
    ),
    "one part of a provider": (
        {"vertex_ai/claude": entry("vertex_ai-anthropic_models")},
        {"vertex-anthropic": {"claude": STATED}},
    ),
    "a provider that is two here": (
        {"bedrock/nova": entry("bedrock_converse")},
        {"bedrock": {"nova": STATED}, "bedrock-anthropic": {"nova": STATED}},
    ),
    "every price it may have": (
        {
            "m": entry(
                "anthropic",
                cache_read_input_token_cost=3e-07,
                cache_creation_input_token_cost=3.75e-06,
                output_cost_per_reasoning_token=2.8e-07,
            )
        },
        {
            "anthropic": {
                "m": StatedPrice(
                    input=3, output=15, cached=0.3, cache_creation=3.75, reasoning=0.28
                )
            }
        },
    ),
    "only what is read": (
        {"embed": {"litellm_provider": "openai", "input_cost_per_token": 2e-08}},
        {"openai": {"embed": StatedPrice(input=0.02)}},
    ),
}


@pytest.mark.parametrize(("document", "prices"), LITELLM.values(), ids=LITELLM)
def test_litellm(document: dict[str, Any], prices: dict[str, dict[str, StatedPrice]]) -> None:
    found = read_litellm(json.dumps(document).encode())
    assert (found.prices, found.skipped, found.ignored) == (prices, 0, 0)


def test_models_dev() -> None:
    document = {
        "google": {
            "id": "google",
            "models": {
                "Pro": {
                    "cost": {
                        "input": 3,
                        "output": 15,
                        "cache_read": 0.3,
                        "cache_write": 3.75,
                        "reasoning": 16,
                    }
                },
                "unpriced": {"id": "unpriced"},
                "broken": {"cost": {"input": "much"}},
            },
        },
        "xai": {"models": {"grok": {"cost": {"input": 3, "output": 15}}}},
        "somebody-else": {"models": {"x": {"cost": {"input": 1, "output": 1}}}},
        "no-models": {"id": "x"},
    }
    found = read_models_dev(json.dumps(document).encode())
    assert found.prices == {
        "gemini": {
            "pro": StatedPrice(input=3, output=15, cached=0.3, cache_creation=3.75, reasoning=16)
        },
        "xai": {"grok": STATED},
    }
    assert (found.skipped, found.ignored) == (2, 2)


SKIPPED: dict[str, Any] = {
    "a text": entry("openai", input_cost_per_token="cheap"),
    "less than nothing": entry("openai", output_cost_per_token=-1e-06),
    "a fortune": entry("openai", input_cost_per_token=2),
    "a provider that is a number": entry("openai", litellm_provider=7),
    "no entry at all": 5,
}
IGNORED: dict[str, Any] = {
    "a provider nobody here knows": entry("somebody_else"),
    "no provider": {"input_cost_per_token": IN},
    "no price for tokens": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
    "zeros where nobody knows": entry("openai", input_cost_per_token=0, output_cost_per_token=0),
    "a server on the user's own machine": entry("ollama"),
}


@pytest.mark.parametrize("wrong", SKIPPED.values(), ids=SKIPPED)
def test_what_cannot_be_read_is_skipped_and_counted(wrong: Any) -> None:
    found = read_litellm(json.dumps({"bad": wrong, "good": entry("openai")}).encode())
    assert (found.prices, found.skipped, found.ignored) == ({"openai": {"good": STATED}}, 1, 0)


@pytest.mark.parametrize("other", IGNORED.values(), ids=IGNORED)
def test_what_says_nothing_here_is_ignored_and_counted(other: Any) -> None:
    found = read_litellm(json.dumps({"other": other, "good": entry("openai")}).encode())
    assert (found.prices, found.skipped, found.ignored) == ({"openai": {"good": STATED}}, 0, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"a":'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    for read in (read_litellm, read_models_dev):
        with pytest.raises(ValueError, match=r"."):
            read(body)


def test_names_of_lists_lead_to_providers_there_are() -> None:
    tables = (LITELLM_PROVIDERS, MODELS_DEV_PROVIDERS)
    named = {one for table in tables for ids in table.values() for one in ids}
    assert named - PROVIDERS.keys() == set()


BASE = Price(
    input=Rate(3_000_000, ((200_000, 6_000_000),)),
    output=Rate(15_000_000),
    cache_read=Rate(300_000),
    cache_write=Rate(3_750_000),
    cache_write_1h=Rate(6_000_000),
)


def test_a_list_changes_what_it_states_and_nothing_else() -> None:
    price = refreshed(BASE, StatedPrice(input=4, cached=0.5))
    assert price == Price(
        input=Rate(4_000_000, ((200_000, 6_000_000),)),
        output=BASE.output,
        cache_read=Rate(500_000),
        cache_write=BASE.cache_write,
        cache_write_1h=BASE.cache_write_1h,
    )
    fresh = refreshed(None, STATED)
    assert fresh is not None
    assert (fresh.input, fresh.cache_read) == (Rate(3_000_000), Rate(3_000_000))


def test_later_layers_hold_field_by_field() -> None:
    earlier = {"a": {"m": StatedPrice(input=1, output=2), "n": StatedPrice(input=5)}}
    later = {"a": {"m": StatedPrice(output=9)}, "b": {"m": STATED}}
    assert layered([earlier, later]) == {
        "a": {"m": StatedPrice(input=1, output=9), "n": StatedPrice(input=5)},
        "b": {"m": STATED},
    }


NAMES = {
    "a plain name": ("gpt-5", ("gpt-5",)),
    "a name behind a vendor": ("openai/gpt-5", ("openai/gpt-5", "gpt-5")),
    "an effort at the end": ("x/gpt-5-high", ("x/gpt-5-high", "gpt-5-high", "gpt-5")),
    "the longer effort": ("gpt-5-xhigh", ("gpt-5-xhigh", "gpt-5")),
}


@pytest.mark.parametrize(("model", "names"), NAMES.values(), ids=NAMES)
def test_a_price_is_looked_for_under_these_names(model: str, names: tuple[str, ...]) -> None:
    assert price_names(model) == names
    assert named_price({names[-1]: STATED}, model.upper()) == STATED
    assert named_price({names[-1] + "!": STATED}, model) is None


def test_what_an_operator_does_not_state_keeps_its_price() -> None:
    audio = Rate(9_000_000)
    base = msgspec.structs.replace(BASE, input_audio=audio)
    price = priced(base, StatedPrice(input=4))
    assert price == msgspec.structs.replace(base, input=Rate(4_000_000))
