"""The `google-genai` SDK against targets of every dialect."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
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


BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""


def declared(*names: str) -> list[Any]:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    }
    return [
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(
                    name=name, description="Weather", parameters_json_schema=schema
                )
                for name in names
            ]
        )
    ]


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[genai.Client]:
    """The SDK, only base URL and key changed."""
    made = genai.Client(api_key="unused", http_options={"base_url": crossroads.url})
    yield made
    made.close()


def generated(client: genai.Client, stream: bool, **asked: Any) -> tuple[list[Any], Any]:
    """All parts of the answer, and the last response."""
    if stream:
        responses = list(client.models.generate_content_stream(**asked))
    else:
        responses = [client.models.generate_content(**asked)]
    parts = [
        part
        for response in responses
        for candidate in response.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    ]
    return parts, responses[-1]


@every_target
@either_way
def test_generate(client: genai.Client, target: str, stream: bool) -> None:
    parts, last = generated(client, stream, model=f"{target}/echo", contents="one two three")
    assert "".join(part.text or "" for part in parts) == "one two three"
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (3, 3)


@every_target
def test_chats(client: genai.Client, target: str) -> None:
    chat = client.chats.create(model=f"{target}/echo")
    assert chat.send_message("one").text == "one"
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("two three")) == (
        "two three"
    )
    assert len(chat.get_history()) >= 4


@every_target
@either_way
def test_function_calling(client: genai.Client, target: str, stream: bool) -> None:
    config = types.GenerateContentConfig(tools=declared("get_weather", "get_news"))
    asked = types.Content(role="user", parts=[types.Part(text=BOTH)])
    more: dict[str, Any] = {"model": f"{target}/tools", "config": config}
    parts, _ = generated(client, stream, contents=[asked], **more)
    calls = [part.function_call for part in parts if part.function_call]
    assert [(call.name, call.args) for call in calls] == [
        ("get_weather", {"city": BOTH, "days": 1}),
        ("get_news", {"city": BOTH, "days": 1}),
    ]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": result}
            )
        )
        for call, result in zip(calls, ("rain", "news"), strict=True)
    ]
    history = [
        asked,
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=results),
    ]
    answer, _ = generated(client, stream, contents=history, **more)
    assert "".join(part.text or "" for part in answer) == "The tools answered: rain; news"


@every_target
def test_functions_are_called_by_the_sdk(client: genai.Client, target: str) -> None:
    seen = []

    def get_weather(city: str, days: int) -> str:
        """The weather of a city."""
        seen.append((city, days))
        return "rain"

    reply = client.models.generate_content(
        model=f"{target}/tools",
        contents="Oslo",
        config=types.GenerateContentConfig(tools=[get_weather]),
    )
    assert (seen, reply.text) == ([("Oslo", 1)], "The tools answered: rain")


@every_target_with_schemas
def test_structured_output(client: genai.Client, target: str) -> None:
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Weather
    )
    reply = client.models.generate_content(model=f"{target}/echo", contents="Oslo", config=config)
    assert reply.parsed == Weather(city="Oslo", days=1)


@every_target
@either_way
def test_thinking(client: genai.Client, target: str, stream: bool) -> None:
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    config = types.GenerateContentConfig(thinking_config=thinking)
    parts, _ = generated(client, stream, model=f"{target}/reasoning", contents="why", config=config)
    thought = "".join(part.text or "" for part in parts if part.thought)
    said = "".join(part.text or "" for part in parts if not part.thought)
    assert (thought, said) == ("The user said: why", "why")


@every_target
def test_a_picture_arrives(client: genai.Client, target: str) -> None:
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    reply = client.models.generate_content(model=f"{target}/see", contents=[picture, "What?"])
    assert reply.text == SEEN


@every_target
def test_tokens_are_counted(client: genai.Client, target: str) -> None:
    counted = client.models.count_tokens(model=f"{target}/echo", contents="one two three")
    assert counted.total_tokens is not None
    assert counted.total_tokens >= 3


def test_models(client: genai.Client) -> None:
    assert "models/demo/echo" in [model.name for model in client.models.list()]
    assert client.models.get(model="demo/echo").name == "models/demo/echo"


def test_errors_are_the_sdks_own(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="nobody/x", contents="hi")
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model="demo/flaky-500", contents="hi")
