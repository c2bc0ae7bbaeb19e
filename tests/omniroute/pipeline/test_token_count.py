"""Tokens are counted by the provider where it can, in its own words, and by us where not."""

import json
from typing import Any

import pytest
from tests.omniroute.conftest import Answer, Build
from tests.support.builders import account, snapshot

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Dialect, Message, Text, Tool
from omniroute.dialects import CODECS
from omniroute.pipeline.exchange import ChatCall
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

TURNS = (Message("system", (Text("Be kind"),)), Message("user", (Text("Hi"),)))
TOOL = Tool("look", "It", {"type": "object", "properties": {}})

COUNTED: dict[str, tuple[str, str, bytes, str, dict[str, Any]]] = {
    "Anthropic": (
        "anthropic",
        "claude-sonnet-4-5",
        b'{"input_tokens":57}',
        "/v1/messages/count_tokens",
        {
            "model": "claude-sonnet-4-5",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "system": [{"type": "text", "text": "Be kind"}],
            "tools": [{"name": "look", "description": "It", "input_schema": TOOL.parameters}],
        },
    ),
    "Gemini": (
        "gemini",
        "gemini-2.5-flash",
        b'{"totalTokens":57}',
        "/v1beta/models/gemini-2.5-flash:countTokens",
        {
            "generateContentRequest": {
                "model": "models/gemini-2.5-flash",
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "systemInstruction": {"parts": [{"text": "Be kind"}]},
                "tools": [{"functionDeclarations": [{"name": "look", "description": "It"}]}],
                "generationConfig": {"temperature": 0.5},
            }
        },
    ),
    "OpenAI": (
        "openai",
        "gpt-5-mini",
        b'{"object":"response.input_tokens","input_tokens":57}',
        "/v1/responses/input_tokens",
        {
            "model": "gpt-5-mini",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "instructions": "Be kind",
            "tools": [
                {
                    "type": "function",
                    "name": "look",
                    "description": "It",
                    "parameters": TOOL.parameters,
                    "strict": False,
                }
            ],
        },
    ),
}


def asking(provider: str, model: str, client: Dialect | None = None) -> ChatCall:
    request = ChatRequest(f"{provider}/{model}", TURNS, (TOOL,), temperature=0.5)
    codec = None if client is None else CODECS[client]
    return ChatCall("request-1", Caller(door="http"), request, codec)


@pytest.mark.parametrize(
    ("provider", "model", "answer", "path", "body"), COUNTED.values(), ids=COUNTED
)
async def test_a_provider_counts_in_its_own_words(
    bench: Build, provider: str, model: str, answer: bytes, path: str, body: dict[str, Any]
) -> None:
    sent: list[OutboundRequest] = []

    def upstream(request: OutboundRequest) -> Answer:
        sent.append(request)
        return Answer(pieces=(answer,))

    built = bench(snapshot(accounts=[account(provider, "a")]), upstream)
    counted = await built.pipeline.count_tokens(asking(provider, model))
    assert (counted.input_tokens, counted.source) == (57, "provider")
    assert sent[0].url.endswith(path)
    assert json.loads(sent[0].body or b"") == body


FAILURES: dict[str, Any] = {
    "an error": Answer(500, pieces=(b'{"error":{"message":"no"}}',)),
    "nonsense": Answer(pieces=(b"<html>",)),
    "nothing counted": Answer(pieces=(b"{}",)),
    "nobody there": TransportFailed("connect", "no"),
}


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
async def test_a_count_never_fails_because_of_an_upstream(bench: Build, answer: Any) -> None:
    built = bench(snapshot(accounts=[account("anthropic", "a")]), lambda _: answer)
    counted = await built.pipeline.count_tokens(asking("anthropic", "claude-sonnet-4-5"))
    assert counted.source == "estimated"
    assert counted.input_tokens > 0


async def test_who_cannot_count_is_not_asked(bench: Build) -> None:
    world = snapshot(accounts=[account("groq", "a")])
    built = bench(world, lambda _: TransportFailed("connect", "no"))
    counted = await built.pipeline.count_tokens(asking("groq", "llama-3.3-70b-versatile"))
    assert counted.source == "estimated"
    assert built.records == []
