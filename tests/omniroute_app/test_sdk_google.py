"""The `google-genai` SDK against targets of every dialect."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from tests.omniroute_app.targets import (
    PNG,
    SEEN,
    asking_for_oslo,
    either_way,
    every_target,
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
    chunks = list(chat.send_message_stream("two three"))
    assert "".join(chunk.text or "" for chunk in chunks) == "two three"
    assert [turn.role for turn in chat.get_history(curated=True)][:3] == ["user", "model", "user"]
    last = chat.send_message("four")
    assert last.usage_metadata is not None
    assert last.usage_metadata.prompt_token_count == 7, "the SDK says both turns again"


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
@either_way
def test_functions_are_called_by_the_sdk(client: genai.Client, target: str, stream: bool) -> None:
    seen = []

    def get_weather(city: str, days: int) -> str:
        """The weather of a city."""
        seen.append((city, days))
        return "rain"

    config = types.GenerateContentConfig(tools=[get_weather])
    chat = client.chats.create(model=f"{target}/tools", config=config)
    if stream:
        said = "".join(chunk.text or "" for chunk in chat.send_message_stream("Oslo"))
    else:
        said = chat.send_message("Oslo").text or ""
    assert (seen, said) == ([("Oslo", 1)], "The tools answered: rain")


@every_target
def test_structured_output(client: genai.Client, target: str) -> None:
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Weather
    )
    reply = client.models.generate_content(
        model=f"{target}/echo", contents=asking_for_oslo(target), config=config
    )
    assert reply.parsed == Weather(city="Oslo", days=1)


@every_target
@either_way
def test_thinking(client: genai.Client, target: str, stream: bool) -> None:
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    config = types.GenerateContentConfig(thinking_config=thinking)
    more: dict[str, Any] = {"model": f"{target}/reasoning", "config": config}
    asked = types.Content(role="user", parts=[types.Part(text="why")])
    parts, _ = generated(client, stream, contents=[asked], **more)
    thought = "".join(part.text or "" for part in parts if part.thought)
    said = "".join(part.text or "" for part in parts if not part.thought)
    assert (thought, said) == ("The user said: why", "why")
    # What was thought, and its signature, goes back as it came.
    history = [asked, types.Content(role="model", parts=parts)]
    history.append(types.Content(role="user", parts=[types.Part(text="and")]))
    again, _ = generated(client, stream, contents=history, **more)
    assert "".join(part.text or "" for part in again if not part.thought) == "and"


@every_target
def test_a_picture_arrives(client: genai.Client, target: str) -> None:
    picture = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    reply = client.models.generate_content(model=f"{target}/see", contents=[picture, "What?"])
    assert reply.text == SEEN


COUNTING = {"ant", "gemini"}
"""Targets that count tokens themselves: the demo counts words. For others it is an estimate."""


@every_target
def test_tokens_are_counted(client: genai.Client, target: str) -> None:
    counted = client.models.count_tokens(model=f"{target}/echo", contents="one two three")
    assert counted.total_tokens == (3 if target in COUNTING else 7)


def test_models(client: genai.Client) -> None:
    assert "models/demo/echo" in [model.name for model in client.models.list()]
    assert client.models.get(model="demo/echo").name == "models/demo/echo"


@every_target
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_the_asynchronous_client(crossroads: Gateway, target: str) -> None:
    async def said() -> str:
        made = genai.Client(api_key="unused", http_options={"base_url": crossroads.url})
        async with made.aio as client:
            chunks = await client.models.generate_content_stream(
                model=f"{target}/echo", contents="one two three"
            )
            return "".join([chunk.text or "" async for chunk in chunks])

    assert asyncio.run(said()) == "one two three"


def test_errors_are_the_sdks_own(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="nobody/x", contents="hi")
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model="demo/flaky-500", contents="hi")


@every_target
def test_a_model_the_upstream_does_not_know(
    client: genai.Client, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(errors.ClientError, match="no model 'ecko'") as refused:
        client.models.generate_content(model=renewed(f"{target}/ecko"), contents="hi")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
