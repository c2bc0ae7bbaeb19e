"""The `openai` SDK's chat and completions against targets of every dialect."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel
from tests.omniroute_app.targets import (
    PNG,
    SEEN,
    asking_for_oslo,
    either_way,
    every_account,
    every_target,
)
from tests.support.processes import Gateway


class Weather(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {"name": name, "description": "Weather", "parameters": SCHEMA},
    }
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""
ARGUMENTS = json.dumps({"city": BOTH, "days": 1}, separators=(",", ":"))


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[openai.OpenAI]:
    """The SDK, only base URL and key changed."""
    with openai.OpenAI(base_url=f"{crossroads.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@every_target
def test_chat(client: openai.OpenAI, target: str) -> None:
    reply = client.chat.completions.create(
        model=f"{target}/echo", messages=[user("one two three")], temperature=0.5, max_tokens=50
    )
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one two three", "stop")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 3)
    assert reply.id.startswith("chatcmpl-")


@every_target
@pytest.mark.parametrize("include_usage", [True, False])
def test_chat_stream(client: openai.OpenAI, target: str, include_usage: bool) -> None:
    chunks = list(
        client.chat.completions.create(
            model=f"{target}/echo",
            messages=[user("one two three")],
            stream=True,
            stream_options={"include_usage": include_usage},
        )
    )
    shown = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in shown) == "one two three"
    assert shown[-1].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    usage = [(c.usage.prompt_tokens, c.usage.completion_tokens) for c in chunks if c.usage]
    assert usage == ([(3, 3)] if include_usage else [])
    assert [c.usage is not None for c in chunks if not c.choices] == [True] * len(usage)


@every_target
@either_way
def test_parallel_tools(client: openai.OpenAI, target: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": f"{target}/tools", "tools": TOOLS}
    messages: list[Any] = [user(BOTH)]
    if stream:
        with client.chat.completions.stream(messages=messages, **asked) as events:
            choice: Any = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(messages=messages, **asked).choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_news"]
    assert [call.function.arguments for call in calls] == [ARGUMENTS, ARGUMENTS]
    assert len({call.id for call in calls}) == 2
    messages.append(choice.message.model_dump(exclude_none=True, exclude={"parsed"}))
    # Answered in the other order: ids link them, not places.
    for call, content in zip(reversed(calls), ("news", "rain"), strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    answer = client.chat.completions.create(messages=messages, **asked)
    assert answer.choices[0].message.content in (
        "The tools answered: news; rain",
        "The tools answered: rain; news",
    )


@every_target
def test_parse(client: openai.OpenAI, target: str) -> None:
    reply = client.chat.completions.parse(
        model=f"{target}/echo",
        messages=[user(asking_for_oslo(target))],
        response_format=Weather,
    )
    assert reply.choices[0].message.parsed == Weather(city="Oslo", days=1)


@every_target
def test_parse_arguments(client: openai.OpenAI, target: str) -> None:
    reply = client.chat.completions.parse(
        model=f"{target}/tools",
        messages=[user("Oslo")],
        tools=[openai.pydantic_function_tool(Weather)],
        tool_choice="required",
    )
    calls = reply.choices[0].message.tool_calls or []
    assert [call.function.parsed_arguments for call in calls] == [Weather(city="Oslo", days=1)]


@every_target
def test_a_picture_arrives(client: openai.OpenAI, target: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    reply = client.chat.completions.create(
        model=f"{target}/see", messages=[user([{"type": "text", "text": "What?"}, picture])]
    )
    assert reply.choices[0].message.content == SEEN


@every_target
@either_way
def test_reasoning(client: openai.OpenAI, target: str, stream: bool) -> None:
    asked: Any = {
        "model": f"{target}/reasoning",
        "messages": [user("why")],
        "reasoning_effort": "low",
    }
    if stream:
        deltas = [c.choices[0].delta for c in client.chat.completions.create(**asked, stream=True)]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        said = "".join(delta.content or "" for delta in deltas)
    else:
        message: Any = client.chat.completions.create(**asked).choices[0].message
        thought, said = message.reasoning_content, message.content
    assert (thought, said) == ("The user said: why", "why")


@every_target
@either_way
def test_legacy_completions(client: openai.OpenAI, target: str, stream: bool) -> None:
    asked: Any = {"model": f"{target}/echo", "prompt": "one two three"}
    if stream:
        pieces = [c.choices[0].text for c in client.completions.create(**asked, stream=True)]
        assert "".join(pieces) == "one two three"
    else:
        reply = client.completions.create(**asked)
        assert (reply.object, reply.choices[0].text) == ("text_completion", "one two three")


@every_target
def test_the_asynchronous_client(crossroads: Gateway, target: str) -> None:
    async def said() -> str:
        url = f"{crossroads.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as client:
            chunks = await client.chat.completions.create(
                model=f"{target}/echo", messages=[user("one two three")], stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in chunks])

    assert asyncio.run(said()) == "one two three"


def test_models(client: openai.OpenAI) -> None:
    assert "demo/echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("demo/echo").owned_by == "demo"


def test_errors_are_the_sdks_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'openai/gpt-4o'"):
        client.chat.completions.create(model="opnai/gpt-4o", messages=[user("hi")])
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="demo/flaky-429-7", messages=[user("hi")])
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.body == {
        "message": "demo: scripted failure with status 429",
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "param": None,
        "provider": "demo",
    }


@every_target
def test_a_model_the_upstream_does_not_know(
    client: openai.OpenAI, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'ecko'"):
        client.chat.completions.create(model=renewed(f"{target}/ecko"), messages=[user("hi")])


@every_account
def test_a_limit_says_when_to_come_back(
    client: openai.OpenAI, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(
            model=renewed(f"{target}/flaky-429-2"), messages=[user("hi")]
        )
    assert limited.value.response.headers["retry-after"] == "2"


@every_target
@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
def test_a_broken_stream_is_an_error(
    client: openai.OpenAI, renewed: Callable[[str], str], target: str, ending: str
) -> None:
    chunks = client.chat.completions.create(
        model=renewed(f"{target}/{ending}"), messages=[user("one two three four")], stream=True
    )
    said: list[str] = []
    with pytest.raises(openai.APIError):
        said.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(said) == "one two "
