"""The `anthropic` SDK against targets of every dialect."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import ToolParam
from tests.omniroute_app.targets import PNG, SEEN, either_way, every_account, every_target
from tests.support.processes import Gateway

TOOLS: list[ToolParam] = [
    {
        "name": name,
        "description": "Weather",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    }
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[anthropic.Anthropic]:
    """The SDK, only base URL and key changed."""
    with anthropic.Anthropic(base_url=crossroads.url, api_key="unused", max_retries=0) as made:
        yield made


def asked(
    client: anthropic.Anthropic, stream: bool, messages: list[Any], **more: Any
) -> anthropic.types.Message:
    """The message, created whole or put together by the SDK from its stream."""
    if not stream:
        reply: anthropic.types.Message = client.messages.create(
            max_tokens=4000, messages=messages, **more
        )
        return reply
    with client.messages.stream(max_tokens=4000, messages=messages, **more) as events:
        return events.get_final_message()


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@every_target
@either_way
def test_messages(client: anthropic.Anthropic, target: str, stream: bool) -> None:
    words = [user("one two three")]
    reply = asked(client, stream, words, model=f"{target}/echo", system="Be brief.")
    assert [block.text for block in reply.content if block.type == "text"] == ["one two three"]
    assert (reply.stop_reason, reply.usage.output_tokens) == ("end_turn", 3)
    assert reply.id.startswith("msg_")


@every_target
def test_text_arrives_as_it_is_written(client: anthropic.Anthropic, target: str) -> None:
    with client.messages.stream(
        model=f"{target}/echo", max_tokens=100, messages=[user("one two three")]
    ) as events:
        pieces = list(events.text_stream)
    assert "".join(pieces) == "one two three"
    assert len(pieces) > 1


@every_target
@either_way
def test_parallel_tools(client: anthropic.Anthropic, target: str, stream: bool) -> None:
    more: dict[str, Any] = {"model": f"{target}/tools", "tools": TOOLS}
    messages = [user(BOTH)]
    first = asked(client, stream, messages, **more)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": BOTH, "days": 1}),
        ("get_news", {"city": BOTH, "days": 1}),
    ]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": content}
        for call, content in zip(calls, ("rain", "news"), strict=True)
    ]
    messages += [{"role": "assistant", "content": first.content}, user(results)]
    answer = asked(client, stream, messages, **more)
    said = "".join(block.text for block in answer.content if block.type == "text")
    assert said == "The tools answered: rain; news"


SIGNING = {"resp", "ant", "gemini"}
"""Targets whose dialect has a place for what vouches for thinking; the demo speaks OpenAI Chat."""


@every_target
@either_way
def test_thinking_comes_with_a_signature_and_may_be_returned(
    client: anthropic.Anthropic, target: str, stream: bool
) -> None:
    more: dict[str, Any] = {
        "model": f"{target}/reasoning",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    messages = [user("why")]
    first = asked(client, stream, messages, **more)
    assert [block.type for block in first.content] == ["thinking", "text"]
    thinking: Any = first.content[0]
    assert thinking.thinking == "The user said: why"
    assert bool(thinking.signature) == (target in SIGNING)
    messages += [{"role": "assistant", "content": first.content}, user("and")]
    second = asked(client, stream, messages, **more)
    assert [block.text for block in second.content if block.type == "text"] == ["and"]


@every_target
def test_thinking_nobody_asked_for_is_shown(client: anthropic.Anthropic, target: str) -> None:
    reply = asked(client, False, [user("why")], model=f"{target}/reasoning")
    assert [block.type for block in reply.content] == ["thinking", "text"]


@every_target
def test_a_picture_arrives(client: anthropic.Anthropic, target: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    picture = [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]
    reply = asked(client, False, [user(picture)], model=f"{target}/see")
    assert [block.text for block in reply.content if block.type == "text"] == [SEEN]


COUNTED = {"ant": "provider", "gemini": "provider"}
"""Targets that count tokens themselves; the demo counts words."""


@every_target
def test_tokens_are_counted(client: anthropic.Anthropic, target: str) -> None:
    counted = client.messages.count_tokens(model=f"{target}/echo", messages=[user("one two three")])
    source = COUNTED.get(target, "estimated")
    assert counted.to_dict()["source"] == source
    assert counted.input_tokens == (3 if source == "provider" else 7)


def test_models(client: anthropic.Anthropic) -> None:
    assert "demo/echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("demo/echo").id == "demo/echo"


@every_target
def test_structured_output(client: anthropic.Anthropic, target: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    reply = client.messages.create(
        model=f"{target}/echo",
        max_tokens=100,
        messages=[user("Oslo")],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    (block,) = (block for block in reply.content if block.type == "text")
    assert json.loads(block.text) == {"city": "Oslo", "days": 1}


@every_target
def test_the_asynchronous_client(crossroads: Gateway, target: str) -> None:
    async def said() -> str:
        async with (
            anthropic.AsyncAnthropic(
                base_url=crossroads.url, api_key="unused", max_retries=0
            ) as client,
            client.messages.stream(
                model=f"{target}/echo", max_tokens=100, messages=[user("one two three")]
            ) as events,
        ):
            return "".join([text async for text in events.text_stream])

    assert asyncio.run(said()) == "one two three"


def test_errors_are_the_sdks_own(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(model="opnai/gpt-4o", max_tokens=5, messages=[user("hi")])
    body: Any = refused.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert "Did you mean 'openai/gpt-4o'" in body["error"]["message"]
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(model="demo/flaky-500", max_tokens=5, messages=[user("hi")])
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model="demo/flaky-429-7", max_tokens=5, messages=[user("hi")])


@every_target
def test_a_model_the_upstream_does_not_know(
    client: anthropic.Anthropic, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(anthropic.NotFoundError, match="no model 'ecko'"):
        client.messages.create(model=renewed(f"{target}/ecko"), max_tokens=5, messages=[user("hi")])


@every_account
def test_a_limit_says_when_to_come_back(
    client: anthropic.Anthropic, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(
            model=renewed(f"{target}/flaky-429-2"), max_tokens=5, messages=[user("hi")]
        )
    assert limited.value.response.headers["retry-after"] == "2"


@every_target
@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
def test_a_broken_stream_is_an_error(
    client: anthropic.Anthropic, renewed: Callable[[str], str], target: str, ending: str
) -> None:
    said: list[str] = []
    with (
        client.messages.stream(
            model=renewed(f"{target}/{ending}"),
            max_tokens=50,
            messages=[user("one two three four")],
        ) as events,
        pytest.raises(anthropic.APIError),
    ):
        said.extend(events.text_stream)
    assert "".join(said) == "one two "
