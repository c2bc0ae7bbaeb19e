"""Sound, pictures and costs in the usage objects of every dialect that has them."""

from typing import Any

import msgspec
import pytest

from omniroute.catalog.prices import Price, Rate
from omniroute.chat import Usage
from omniroute.dialects.gemini import wire as gemini
from omniroute.dialects.openai_chat import wire as chat
from omniroute.dialects.openai_responses import wire as responses

CHAT: dict[str, tuple[dict[str, Any], Usage]] = {
    "sound in and out": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 40},
        },
        Usage(50, 20, output_tokens=5, reasoning_tokens=5, input_audio_tokens=30,
              output_audio_tokens=40),
    ),
    "pictures in and out": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"image_tokens": 90},
            "completion_tokens_details": {"image_tokens": 50},
        },
        Usage(10, input_image_tokens=90, output_image_tokens=50),
    ),
    "more sound than there was": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"audio_tokens": 99, "image_tokens": 3},
            "completion_tokens_details": {"audio_tokens": 99, "image_tokens": 3},
        },
        Usage(input_audio_tokens=10, output_audio_tokens=5),
    ),
    "OpenRouter says what it cost": (
        {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.0000125},
        Usage(1, output_tokens=1, reported_micro_usd=13),
    ),
    "OpenRouter with the customer's own key": (
        {
            "prompt_tokens": 1, "completion_tokens": 1, "cost": 0.01, "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.19},
        },
        Usage(1, output_tokens=1, reported_micro_usd=200_000),
    ),
    "OpenRouter with its own key": (
        {
            "prompt_tokens": 1, "completion_tokens": 1, "cost": 0.01, "is_byok": False,
            "cost_details": {"upstream_inference_cost": 0.19},
        },
        Usage(1, output_tokens=1, reported_micro_usd=10_000),
    ),
    "Perplexity says it in parts": (
        {"prompt_tokens": 1, "completion_tokens": 1, "cost": {"total_cost": 0.006}},
        Usage(1, output_tokens=1, reported_micro_usd=6_000),
    ),
    "DeepInfra estimates it": (
        {"prompt_tokens": 1, "completion_tokens": 1, "estimated_cost": 0.5},
        Usage(1, output_tokens=1, reported_micro_usd=500_000),
    ),
    "xAI counts in ticks": (
        {"prompt_tokens": 1, "completion_tokens": 1, "cost_in_usd_ticks": 37_756_000},
        Usage(1, output_tokens=1, reported_micro_usd=3_776),
    ),
    "free of charge is a cost": (
        {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0},
        Usage(1, output_tokens=1, reported_micro_usd=0),
    ),
    "no amount is no cost": (
        {
            "prompt_tokens": 1, "completion_tokens": 1, "cost": "much", "estimated_cost": -1,
            "cost_in_usd_ticks": True,
        },
        Usage(1, output_tokens=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "usage"), CHAT.values(), ids=CHAT)
def test_openai_chat(written: dict[str, Any], usage: Usage) -> None:
    assert chat.read_usage(msgspec.convert(written, chat.WireUsage)) == usage


RESPONSES: dict[str, tuple[dict[str, Any], Usage]] = {
    "sound and pictures": (
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "input_tokens_details": {"cached_tokens": 10, "audio_tokens": 20, "image_tokens": 30},
            "output_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 6, "image_tokens": 7},
        },
        Usage(40, 10, output_tokens=32, reasoning_tokens=5, input_audio_tokens=20,
              input_image_tokens=30, output_audio_tokens=6, output_image_tokens=7),
    ),
    "a cost": (
        {"input_tokens": 1, "output_tokens": 1, "cost_in_usd_ticks": 10_000},
        Usage(1, output_tokens=1, reported_micro_usd=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "usage"), RESPONSES.values(), ids=RESPONSES)
def test_openai_responses(written: dict[str, Any], usage: Usage) -> None:
    assert responses.read_usage(msgspec.convert(written, responses.WireUsage)) == usage


def kinds(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in counts.items()]


GEMINI: dict[str, tuple[dict[str, Any], Usage]] = {
    "every kind": (
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 50,
            "cachedContentTokenCount": 20,
            "promptTokensDetails": kinds(text=40, audio=35, image=25),
            "cacheTokensDetails": kinds(text=10, audio=10),
            "candidatesTokensDetails": kinds(text=20, image=30),
        },
        Usage(30, 20, output_tokens=20, input_audio_tokens=25, input_image_tokens=25,
              output_image_tokens=30),
    ),
    "details that say nothing": (
        {
            "promptTokenCount": 10,
            "candidatesTokenCount": 5,
            "promptTokensDetails": [{"modality": "AUDIO"}, "what", {"tokenCount": "3"}],
            "candidatesTokensDetails": {"modality": "IMAGE", "tokenCount": 3},
        },
        Usage(10, output_tokens=5),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "usage"), GEMINI.values(), ids=GEMINI)
def test_gemini(written: dict[str, Any], usage: Usage) -> None:
    assert gemini.read_usage(msgspec.convert(written, gemini.WireUsage)) == usage


EVERY = Usage(1, 2, 3, 4, 5, 6, input_audio_tokens=7, input_image_tokens=8,
              output_audio_tokens=9, output_image_tokens=10)  # fmt: skip


def test_every_token_is_counted_once() -> None:
    assert (EVERY.total_input_tokens, EVERY.total_output_tokens) == (25, 30)
    told = chat.wire_usage(EVERY)
    assert (told["prompt_tokens"], told["completion_tokens"]) == (25, 30)
    assert told["prompt_tokens_details"]["audio_tokens"] == 7
    assert told["completion_tokens_details"] == {"reasoning_tokens": 6, "audio_tokens": 9}


def test_every_token_is_priced_once_at_its_own_rate() -> None:
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning",
             "input_audio", "input_image", "output_audio", "output_image")  # fmt: skip
    rates = {name: Rate(10**place * 1_000_000) for place, name in enumerate(names)}
    price = Price(**rates)
    assert price.cost_micro_usd(EVERY) == sum(
        (place + 1) * 10**place for place in range(len(names))
    )
    assert price.dearest_output(0) == rates["output_image"].base


def test_kinds_without_a_rate_cost_like_text() -> None:
    rate = Rate(1_000_000)
    price = Price(input=rate, output=rate, cache_read=rate, cache_write=rate, cache_write_1h=rate)
    assert price.cost_micro_usd(EVERY) == 55
