"""The `openai` SDK's responses against targets of every dialect."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel
from tests.omniroute_app.targets import (
    PNG,
    SEEN,
    asking_for_oslo,
    either_way,
    every_target,
)
from tests.support.processes import Gateway

LIMIT_S = 20


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
TOOLS: Any = [
    {"type": "function", "name": name, "description": "Weather", "parameters": SCHEMA}
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""
ARGUMENTS = {"city": BOTH, "days": 1}


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[openai.OpenAI]:
    """The SDK, only base URL and key changed."""
    url = f"{crossroads.url}/v1"
    with openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as made:
        yield made


@every_target
def test_create(client: openai.OpenAI, target: str) -> None:
    reply = client.responses.create(model=f"{target}/echo", input="one two three", store=False)
    assert (reply.output_text, reply.status) == ("one two three", "completed")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 3)


@every_target
def test_stream(client: openai.OpenAI, target: str) -> None:
    with client.responses.stream(
        model=f"{target}/reasoning", input="why", reasoning={"effort": "low"}
    ) as events:
        seen = list(events)
        final = events.get_final_response()
    kinds = [event.type for event in seen]
    said = [event.delta for event in seen if event.type == "response.output_text.delta"]
    assert ("".join(said), final.output_text) == ("why", "why")
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


@every_target
@either_way
def test_parallel_tools(client: openai.OpenAI, target: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": f"{target}/tools", "tools": TOOLS}
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


@every_target
def test_parse(client: openai.OpenAI, target: str) -> None:
    reply = client.responses.parse(
        model=f"{target}/echo", input=asking_for_oslo(target), text_format=Weather
    )
    assert reply.output_parsed == Weather(city="Oslo", days=1)


@every_target
def test_a_picture_arrives(client: openai.OpenAI, target: str) -> None:
    picture: Any = {
        "type": "input_image",
        "image_url": f"data:image/png;base64,{PNG}",
        "detail": "auto",
    }
    content = [{"type": "input_text", "text": "What?"}, picture]
    reply = client.responses.create(
        model=f"{target}/see", input=[{"role": "user", "content": content}]
    )
    assert reply.output_text == SEEN


@every_target
def test_reasoning_may_be_returned(client: openai.OpenAI, target: str) -> None:
    asked: dict[str, Any] = {
        "model": f"{target}/reasoning",
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    items: list[Any] = [{"role": "user", "content": "why"}]
    first = client.responses.create(input=items, **asked)
    (thought,) = [item for item in first.output if item.type == "reasoning"]
    assert [part.text for part in thought.summary] == ["The user said: why"]
    items += [*first.output, {"role": "user", "content": "and"}]
    assert client.responses.create(input=items, **asked).output_text == "and"


@every_target
def test_stored_responses(client: openai.OpenAI, target: str) -> None:
    model = f"{target}/echo"
    first = client.responses.create(model=model, input="one two", instructions="Be brief.")
    again = client.responses.create(model=model, input="three", previous_response_id=first.id)
    assert (again.output_text, again.previous_response_id) == ("three", first.id)
    assert again.to_dict()["store"] is True
    assert again.usage is not None
    assert again.usage.input_tokens == 5, "what was said before is read again, instructions are not"
    assert client.responses.retrieve(again.id).to_dict() == again.to_dict()
    with client.responses.stream(
        model=model, input="four", previous_response_id=again.id
    ) as events:
        last = events.until_done().get_final_response()
    assert (last.output_text, last.previous_response_id) == ("four", again.id)
    items: list[Any] = list(client.responses.input_items.list(again.id, order="asc"))
    said = [(item.role, part.text) for item in items for part in item.content]
    assert said == [("user", "three")]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="no stored response"):
        client.responses.create(model=model, input="four", previous_response_id=first.id)
    assert client.responses.retrieve(again.id).output_text == "three"


def finished(client: openai.OpenAI, response_id: str) -> Response:
    """A background response, asked for until it is made."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        found = client.responses.retrieve(response_id)
        if found.status not in ("queued", "in_progress"):
            return found
    raise AssertionError(f"not finished within {LIMIT_S} s")


@every_target
def test_background(client: openai.OpenAI, target: str) -> None:
    asked = client.responses.create(model=f"{target}/echo", input="one two", background=True)
    assert (asked.status, asked.background) == ("queued", True)
    made = finished(client, asked.id)
    assert (made.id, made.status, made.output_text) == (asked.id, "completed", "one two")
    again = client.responses.create(
        model=f"{target}/echo", input="three", previous_response_id=made.id
    )
    assert again.output_text == "three"


def test_either_database_remembers(gateway: Gateway) -> None:
    url = f"{gateway.url}/v1"
    with openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        made = client.responses.create(model="demo/echo", input="one two", background=True)
        assert finished(client, made.id).output_text == "one two"
        again = client.responses.create(
            model="demo/echo", input="three", previous_response_id=made.id
        )
        assert again.usage is not None
        assert again.usage.input_tokens == 5
        assert [item.type for item in client.responses.input_items.list(again.id)] == ["message"]
        client.responses.delete(again.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(again.id)


@every_target
def test_a_background_response_is_cancelled(client: openai.OpenAI, target: str) -> None:
    asked = client.responses.create(model=f"{target}/slow-60000", input="one two", background=True)
    assert client.responses.cancel(asked.id).status == "cancelled"
    assert client.responses.retrieve(asked.id).status == "cancelled"


def test_a_background_response_that_fails(client: openai.OpenAI) -> None:
    asked = client.responses.create(model="demo/flaky-500", input="hi", background=True)
    made = finished(client, asked.id)
    assert (made.status, made.error is not None) == ("failed", True)


def test_errors_are_the_sdks_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'openai/gpt-4o'"):
        client.responses.create(model="opnai/gpt-4o", input="hi")
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="opnai/gpt-4o", input="hi", background=True)
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="demo/flaky-429-7", input="hi")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_nothing")


@every_target
@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
def test_a_broken_stream_says_so(
    client: openai.OpenAI, renewed: Callable[[str], str], target: str, ending: str
) -> None:
    events = client.responses.create(
        model=renewed(f"{target}/{ending}"), input="one two three four", stream=True
    )
    seen = [event.type for event in events]
    assert "response.output_text.delta" in seen
    assert seen[-1] == "response.failed"
