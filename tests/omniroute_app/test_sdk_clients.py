"""The official SDKs against a real gateway process, whatever dialect the target speaks."""

from collections.abc import Callable, Iterator

import anthropic
import openai
import pytest
from anthropic.types import ToolParam
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from tests.support.processes import Gateway

TARGETS = {
    "in process": "demo",
    "an OpenAI upstream": "oai",
    "an Anthropic upstream": "ant",
}

WEATHER_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
OPENAI_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather", "parameters": WEATHER_SCHEMA},
}
ANTHROPIC_TOOL: ToolParam = {
    "name": "get_weather",
    "description": "Weather",
    "input_schema": WEATHER_SCHEMA,
}


@pytest.fixture
def oai(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The OpenAI SDK, only base URL and key changed."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def ant(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """The Anthropic SDK, only base URL and key changed."""
    with anthropic.Anthropic(base_url=gateway.url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_openai_chat(oai: openai.OpenAI, prefix: str) -> None:
    reply = oai.chat.completions.create(
        model=f"{prefix}/echo", messages=[{"role": "user", "content": "one two three"}]
    )
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one two three", "stop")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 3)


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_openai_stream(oai: openai.OpenAI, prefix: str) -> None:
    chunks = list(
        oai.chat.completions.create(
            model=f"{prefix}/echo",
            messages=[{"role": "user", "content": "one two three"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices][-1]
    usage = chunks[-1].usage
    assert (text, reasons) == ("one two three", "stop")
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 3)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_openai_stream_without_usage_shows_no_usage_chunk(oai: openai.OpenAI, prefix: str) -> None:
    chunks = list(
        oai.chat.completions.create(
            model=f"{prefix}/echo", messages=[{"role": "user", "content": "hi"}], stream=True
        )
    )
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_openai_tool_round_trip(oai: openai.OpenAI, prefix: str, stream: bool) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Oslo"}]
    model = f"{prefix}/tools"
    if stream:
        with oai.chat.completions.stream(
            model=model, messages=messages, tools=[OPENAI_TOOL]
        ) as events:
            first = events.get_final_completion().choices[0]
    else:
        first = oai.chat.completions.create(  # type: ignore[assignment]
            model=model, messages=messages, tools=[OPENAI_TOOL]
        ).choices[0]
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls
    assert calls is not None
    call = calls[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == (
        "get_weather",
        '{"city":"Oslo","days":1}',
    )
    messages += [
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": call.function.arguments,
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    answer = oai.chat.completions.create(model=model, messages=messages, tools=[OPENAI_TOOL])
    assert answer.choices[0].message.content == "The tools answered: rain"


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_anthropic_message(ant: anthropic.Anthropic, prefix: str) -> None:
    reply = ant.messages.create(
        model=f"{prefix}/echo",
        max_tokens=100,
        system="Be brief.",
        messages=[{"role": "user", "content": "one two three"}],
    )
    assert [block.text for block in reply.content if block.type == "text"] == ["one two three"]
    assert reply.stop_reason == "end_turn"
    assert reply.usage.output_tokens == 3


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_anthropic_stream(ant: anthropic.Anthropic, prefix: str) -> None:
    with ant.messages.stream(
        model=f"{prefix}/echo",
        max_tokens=100,
        messages=[{"role": "user", "content": "one two three"}],
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert (text, final.stop_reason) == ("one two three", "end_turn")
    assert final.usage.output_tokens == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_anthropic_tool_round_trip(ant: anthropic.Anthropic, prefix: str, stream: bool) -> None:
    model = f"{prefix}/tools"
    if stream:
        with ant.messages.stream(
            model=model,
            max_tokens=100,
            tools=[ANTHROPIC_TOOL],
            messages=[{"role": "user", "content": "Oslo"}],
        ) as events:
            first = events.get_final_message()
    else:
        first = ant.messages.create(  # type: ignore[assignment]
            model=model,
            max_tokens=100,
            tools=[ANTHROPIC_TOOL],
            messages=[{"role": "user", "content": "Oslo"}],
        )
    call = first.content[-1]
    assert first.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo", "days": 1})
    answer = ant.messages.create(
        model=model,
        max_tokens=100,
        tools=[ANTHROPIC_TOOL],
        messages=[
            {"role": "user", "content": "Oslo"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}],
            },
        ],
    )
    assert [b.text for b in answer.content if b.type == "text"] == ["The tools answered: rain"]


@pytest.mark.parametrize("prefix", TARGETS.values(), ids=TARGETS)
def test_reasoning_reaches_an_anthropic_client_as_thinking(
    ant: anthropic.Anthropic, prefix: str
) -> None:
    reply = ant.messages.create(
        model=f"{prefix}/reasoning",
        max_tokens=100,
        messages=[{"role": "user", "content": "why"}],
    )
    kinds = [block.type for block in reply.content]
    assert kinds == ["thinking", "text"]


COUNTS = {"the provider's own": ("ant", "provider", 3), "an estimate": ("oai", "estimated", 7)}


@pytest.mark.parametrize(("prefix", "source", "tokens"), COUNTS.values(), ids=COUNTS)
def test_anthropic_counts_tokens(
    ant: anthropic.Anthropic, prefix: str, source: str, tokens: int
) -> None:
    counted = ant.messages.count_tokens(
        model=f"{prefix}/echo", messages=[{"role": "user", "content": "one two three"}]
    )
    assert (counted.input_tokens, counted.to_dict()["source"]) == (tokens, source)


def test_openai_model_list(oai: openai.OpenAI) -> None:
    ids = [model.id for model in oai.models.list()]
    assert "demo/echo" in ids
    assert oai.models.retrieve("demo/echo").owned_by == "demo"


def test_anthropic_model_list(ant: anthropic.Anthropic) -> None:
    assert "demo/echo" in [model.id for model in ant.models.list()]


def test_openai_errors_are_the_sdks_own(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'openai/gpt-4o'"):
        oai.chat.completions.create(
            model="opnai/gpt-4o", messages=[{"role": "user", "content": "hi"}]
        )
    with pytest.raises(openai.RateLimitError) as limited:
        oai.chat.completions.create(
            model="demo/flaky-429-7", messages=[{"role": "user", "content": "hi"}]
        )
    assert limited.value.body == {
        "message": "demo: scripted failure with status 429",
        "type": "rate_limit_error",
        "code": "rate_limit_exceeded",
        "param": None,
        "provider": "demo",
    }


def test_anthropic_errors_are_the_sdks_own(ant: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        ant.messages.create(
            model="nobody/x", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        )
    with pytest.raises(anthropic.InternalServerError):
        ant.messages.create(
            model="demo/flaky-500", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        )


@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
@pytest.mark.parametrize("prefix", ["oai", "ant"])
def test_a_broken_stream_is_an_error_in_both_sdks(
    oai: openai.OpenAI,
    ant: anthropic.Anthropic,
    fresh: Callable[[str], str],
    prefix: str,
    ending: str,
) -> None:
    model = fresh(f"{prefix}/{ending}")
    with pytest.raises(openai.APIError):
        list(
            oai.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "one two three four"}],
                stream=True,
            )
        )
    model = fresh(f"{prefix}/{ending}")
    with (
        pytest.raises(anthropic.APIError),
        ant.messages.stream(
            model=model,
            max_tokens=50,
            messages=[{"role": "user", "content": "one two three four"}],
        ) as stream,
    ):
        list(stream.text_stream)
