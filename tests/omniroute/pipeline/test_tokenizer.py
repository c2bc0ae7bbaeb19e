"""Counting offline: known counts, and a bound that no vocabulary passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.chat import ChatRequest, Message, Text, Tool
from omniroute.pipeline.money.estimate import input_tokens_bound
from omniroute.pipeline.tokens.tokenizer import counted_tokens, text_tokens

# Counts of OpenAI's own tokenizer for `cl100k_base`.
KNOWN = {
    "": 0,
    "tiktoken is great!": 6,
    "antidisestablishmentarianism": 6,
    "2 + 2 = 4": 7,
    "お誕生日おめでとう": 9,
    "<|endoftext|>": 7,
}


@pytest.mark.parametrize(("text", "tokens"), KNOWN.items())
def test_known_counts(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


CORPUS = {
    "prose": "The gateway stands between agents and models, and says why it did what it did. " * 50,
    "code": "def f(x: int) -> int:\n    return x ** 2  # square\n" * 80,
    "JSON": '{"a":[1,2.5,null,true],"b":{"c":"d"}}' * 60,
    "Chinese": "这个网关站在代理和模型之间。" * 60,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 60,
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" * 40,
    "one letter": "a" * 20_000,
    "spaces": " \t\n" * 500,
}


def asked(text: str) -> ChatRequest:
    tool = Tool(name="f", description=text[:100], parameters={"type": "object"})
    return ChatRequest(model="m", messages=(Message("user", (Text(text),)),), tools=(tool,))


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_the_bound_is_never_below_the_count(text: str) -> None:
    request = asked(text)
    assert input_tokens_bound(request) >= counted_tokens(request) > 0


@given(st.text(max_size=400))
def test_the_bound_holds_for_any_text(text: str) -> None:
    assert input_tokens_bound(asked(text)) >= counted_tokens(asked(text))
