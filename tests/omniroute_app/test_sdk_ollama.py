"""The `ollama` SDK against targets of every dialect."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import ollama
import pytest
from tests.omniroute_app.targets import (
    PNG,
    SEEN,
    asking_for_oslo,
    either_way,
    every_target,
)
from tests.support.processes import Gateway

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": "It", "parameters": SCHEMA}}
    for name in ("get_weather", "get_news")
]
BOTH = "get_weather get_news Oslo"
"""Makes the demo model call both tools."""


@pytest.fixture
def client(crossroads: Gateway) -> Iterator[ollama.Client]:
    """The SDK, only the host changed."""
    with ollama.Client(host=crossroads.url) as made:
        yield made


def chatted(client: ollama.Client, stream: bool, messages: list[Any], **more: Any) -> list[Any]:
    """The answer, as one or many responses."""
    if stream:
        return list(client.chat(messages=messages, stream=True, **more))
    return [client.chat(messages=messages, **more)]


def user(content: str, **more: Any) -> Any:
    return {"role": "user", "content": content, **more}


@every_target
@either_way
def test_chat(client: ollama.Client, target: str, stream: bool) -> None:
    replies = chatted(client, stream, [user("one two three")], model=f"{target}/echo")
    assert "".join(one.message.content or "" for one in replies) == "one two three"
    assert [one.done for one in replies] == [False] * (len(replies) - 1) + [True]
    assert (replies[-1].done_reason, replies[-1].eval_count) == ("stop", 3)
    # What an Ollama upstream says is passed on as it came; others' names are no use to a client.
    assert replies[-1].model == ("echo" if target == "ollama" else f"{target}/echo")


@every_target
@either_way
def test_tools(client: ollama.Client, target: str, stream: bool) -> None:
    more: dict[str, Any] = {"model": f"{target}/tools", "tools": TOOLS}
    messages = [user(BOTH)]
    replies = chatted(client, stream, messages, **more)
    calls = [call for one in replies for call in one.message.tool_calls or []]
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("get_weather", {"city": BOTH, "days": 1}),
        ("get_news", {"city": BOTH, "days": 1}),
    ]
    messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    for call, result in zip(calls, ("rain", "news"), strict=True):
        messages.append({"role": "tool", "tool_name": call.function.name, "content": result})
    answer = chatted(client, stream, messages, **more)
    said = "".join(one.message.content or "" for one in answer)
    assert said == "The tools answered: rain; news"


@every_target
@either_way
def test_generate(client: ollama.Client, target: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": f"{target}/echo", "prompt": "one two three"}
    if stream:
        replies: list[Any] = list(client.generate(**asked, stream=True))
    else:
        replies = [client.generate(**asked)]
    assert "".join(one.response for one in replies) == "one two three"
    assert replies[-1].done
    assert (replies[-1].prompt_eval_count, replies[-1].eval_count) == (3, 3)


@every_target
@either_way
def test_thinking(client: ollama.Client, target: str, stream: bool) -> None:
    replies = chatted(client, stream, [user("why")], model=f"{target}/reasoning", think=True)
    thought = "".join(one.message.thinking or "" for one in replies)
    said = "".join(one.message.content or "" for one in replies)
    assert (thought, said) == ("The user said: why", "why")


@every_target
def test_structured_output(client: ollama.Client, target: str) -> None:
    asked = [user(asking_for_oslo(target))]
    (reply,) = chatted(client, False, asked, model=f"{target}/echo", format=SCHEMA)
    assert json.loads(reply.message.content) == {"city": "Oslo", "days": 1}


@every_target
def test_a_picture_arrives(client: ollama.Client, target: str) -> None:
    (reply,) = chatted(client, False, [user("What?", images=[PNG])], model=f"{target}/see")
    assert reply.message.content == SEEN
    generated = client.generate(model=f"{target}/see", prompt="What?", images=[PNG])
    assert generated.response == SEEN


def test_models(client: ollama.Client) -> None:
    assert "demo/echo" in [model.model for model in client.list().models]
    shown = client.show("demo/echo")
    assert "completion" in (shown.capabilities or [])


@every_target
def test_the_asynchronous_client(crossroads: Gateway, target: str) -> None:
    async def said() -> str:
        async with ollama.AsyncClient(host=crossroads.url) as client:
            chunks = await client.chat(
                model=f"{target}/echo", messages=[user("one two three")], stream=True
            )
            return "".join([chunk.message.content or "" async for chunk in chunks])

    assert asyncio.run(said()) == "one two three"


def test_errors_are_the_sdks_own(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat(model="nobody/x", messages=[user("hi")])
    assert (refused.value.status_code, "nobody" in refused.value.error) == (400, True)
    with pytest.raises(ollama.ResponseError):
        list(client.chat(model="demo/error-after-2", messages=[user("a b c d")], stream=True))


@every_target
def test_a_model_the_upstream_does_not_know(
    client: ollama.Client, renewed: Callable[[str], str], target: str
) -> None:
    with pytest.raises(ollama.ResponseError, match="no model 'ecko'") as refused:
        client.chat(model=renewed(f"{target}/ecko"), messages=[user("hi")])
    assert refused.value.status_code == 404


@every_target
@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
def test_a_broken_stream_is_an_error(
    client: ollama.Client, renewed: Callable[[str], str], target: str, ending: str
) -> None:
    chunks = client.chat(
        model=renewed(f"{target}/{ending}"), messages=[user("one two three four")], stream=True
    )
    said: list[str] = []
    with pytest.raises(ollama.ResponseError):
        said.extend(chunk.message.content or "" for chunk in chunks)
    assert "".join(said) == "one two "
