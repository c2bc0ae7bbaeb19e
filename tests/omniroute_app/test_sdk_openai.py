"""The `openai` SDK against targets of every dialect: chat, completions and responses."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel
from tests.omniroute_app.targets import (
    PNG,
    SEEN,
    either_way,
    every_target,
    every_target_with_schemas,
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
FLAT: Any = [
    {"type": "function", "name": name, "description": "Weather", "parameters": SCHEMA}
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""
ARGUMENTS = {"city": BOTH, "days": 1}


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
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usage) == int(include_usage)
    assert all(one.completion_tokens == 3 for one in usage)


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
    assert [json.loads(call.function.arguments) for call in calls] == [ARGUMENTS, ARGUMENTS]
    assert len({call.id for call in calls}) == 2
    messages.append(choice.message.model_dump(exclude_none=True, exclude={"parsed"}))
    # Answered in the other order: ids link them, not places.
    for call, content in zip(reversed(calls), ("news", "rain"), strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    answer = client.chat.completions.create(messages=messages, **asked)
    said = answer.choices[0].message.content or ""
    assert said.startswith("The tools answered: ")
    assert set(said.removeprefix("The tools answered: ").split("; ")) == {"rain", "news"}


@every_target_with_schemas
def test_parse(client: openai.OpenAI, target: str) -> None:
    reply = client.chat.completions.parse(
        model=f"{target}/echo", messages=[user("Oslo")], response_format=Weather
    )
    assert reply.choices[0].message.parsed == Weather(city="Oslo", days=1)


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
def test_responses(client: openai.OpenAI, target: str) -> None:
    reply = client.responses.create(model=f"{target}/echo", input="one two three", store=False)
    assert (reply.output_text, reply.status) == ("one two three", "completed")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 3)


@every_target
def test_responses_stream(client: openai.OpenAI, target: str) -> None:
    with client.responses.stream(
        model=f"{target}/reasoning", input="why", reasoning={"effort": "low"}
    ) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    assert final.output_text == "why"
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


@every_target
@either_way
def test_responses_tools(client: openai.OpenAI, target: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": f"{target}/tools", "tools": FLAT}
    if stream:
        with client.responses.stream(input=BOTH, **asked) as events:
            reply: Any = events.until_done().get_final_response()
    else:
        reply = client.responses.create(input=BOTH, **asked)
    calls = [item for item in reply.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_news"]
    assert [json.loads(call.arguments) for call in calls] == [ARGUMENTS, ARGUMENTS]
    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": output}
        for call, output in zip(calls, ("rain", "news"), strict=True)
    ]
    answer = client.responses.create(previous_response_id=reply.id, input=outputs, **asked)
    assert answer.output_text == "The tools answered: rain; news"


@every_target_with_schemas
def test_responses_parse(client: openai.OpenAI, target: str) -> None:
    reply = client.responses.parse(model=f"{target}/echo", input="Oslo", text_format=Weather)
    assert reply.output_parsed == Weather(city="Oslo", days=1)


@every_target
def test_stored_responses(client: openai.OpenAI, target: str) -> None:
    first = client.responses.create(model=f"{target}/echo", input="one two")
    again = client.responses.create(
        model=f"{target}/echo", input="three", previous_response_id=first.id
    )
    assert again.output_text == "three"
    assert again.usage is not None
    assert again.usage.input_tokens > 1, "what was said before is read again"
    assert client.responses.retrieve(again.id).output_text == "three"
    items = list(client.responses.input_items.list(again.id))
    assert "three" in items[0].model_dump_json()
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@every_target
def test_background_responses(client: openai.OpenAI, target: str) -> None:
    asked = client.responses.create(model=f"{target}/slow-60000", input="one two", background=True)
    assert asked.status in ("queued", "in_progress")
    assert client.responses.cancel(asked.id).status == "cancelled"
    assert client.responses.retrieve(asked.id).status == "cancelled"


def test_models(client: openai.OpenAI) -> None:
    assert "demo/echo" in [model.id for model in client.models.list()]
    assert client.models.retrieve("demo/echo").owned_by == "demo"


def test_errors_are_the_sdks_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'openai/gpt-4o'"):
        client.chat.completions.create(model="opnai/gpt-4o", messages=[user("hi")])
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="opnai/gpt-4o", input="hi")
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="demo/flaky-429-7", messages=[user("hi")])
    assert limited.value.body == {
        "message": "demo: scripted failure with status 429",
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "param": None,
        "provider": "demo",
    }
