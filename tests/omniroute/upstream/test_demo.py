"""The demo upstream: the same request gets the same bytes, in process and over a socket."""

import re
from collections.abc import Mapping
from typing import Any

import anyio
import msgspec
import pytest
from tests.support.upstreams import served

from omniroute.catalog.models import DEMO_MODELS
from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Message,
    ReasoningDelta,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    collect,
)
from omniroute.dialects import CODECS
from omniroute.dialects.codec import TargetFacts
from omniroute.upstream.demo import script as script_module
from omniroute.upstream.demo.player import play
from omniroute.upstream.demo.script import Script, script_for
from omniroute.upstream.demo.server import PATHS
from omniroute.upstream.gate import Gate
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

TOOL = Tool("weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


def request(model: str, text: str = "one two three four five six", **more: Any) -> ChatRequest:
    return ChatRequest(
        model=model, messages=(Message("user", (Text(text),)),), tools=(TOOL,), **more
    )


async def no_sleep(_: float) -> None:
    """Time does not pass."""


# Form, status, visible text of the reply as a stream, and how it ends.
FORMS: dict[str, tuple[str, int, str, str]] = {
    "echo": ("echo", 200, "one two three four five six", "complete"),
    "tools": ("tools", 200, "", "complete"),
    "reasoning": ("reasoning", 200, "one two three four five six", "complete"),
    "a slow start": ("slow-start", 200, "one two three four five six", "complete"),
    "a start as slow as told": ("slow-start-5", 200, "one two three four five six", "complete"),
    "slow": ("slow", 200, "one two three four five six", "complete"),
    "as slow as told": ("slow-5", 200, "one two three four five six", "complete"),
    "counting": ("count-3", 200, "1 2 3", "complete"),
    "a status": ("flaky-500", 500, "", "complete"),
    "a status with a pause": ("flaky-503-7", 503, "", "complete"),
    "seeing": ("see", 200, "I see nothing", "complete"),
    "drawing": ("draw", 200, "A dot.", "complete"),
    "nothing": ("empty", 200, "", "complete"),
    "malformed": ("malformed", 200, "", "malformed"),
    "malformed later": ("malformed-after-2", 200, "one two ", "malformed"),
    "an error": ("error", 200, "", "error"),
    "an error later": ("error-after-2", 200, "one two ", "error"),
    "cut": ("cut-after-5", 200, "one two three four five ", "cut"),
    "dropped": ("drop-after-1", 200, "one ", "drop"),
}


def scripted(model: str) -> Script:
    found = script_for(model, request(model))
    assert found is not None
    return found


@pytest.mark.parametrize(("model", "status", "text", "ending"), FORMS.values(), ids=FORMS)
def test_a_form_has_its_script(model: str, status: int, text: str, ending: str) -> None:
    script = scripted(model)
    said = "".join(event.text for event in script.events if isinstance(event, TextDelta))
    assert (script.status, said, script.ending) == (status, text, ending)


def test_every_form_has_an_example() -> None:
    models = [model for model, _, _, _ in FORMS.values()]
    patterns = script_module._MODELS
    unseen = [one for one in patterns if not any(re.fullmatch(one, model) for model in models)]
    assert unseen == []


def test_every_listed_model_has_a_script() -> None:
    assert [model for model in DEMO_MODELS if script_for(model, request(model)) is None] == []


DELAYS = {
    "slow-start": (2.0, 0.0),
    "slow-start-5": (0.005, 0.0),
    "slow": (0.0, 0.1),
    "slow-5": (0.0, 0.005),
    "echo": (0.0, 0.0),
}


@pytest.mark.parametrize(("model", "delays"), DELAYS.items(), ids=DELAYS)
async def test_slowness_is_asked_of_the_clock_that_was_injected(
    model: str, delays: tuple[float, float]
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    body = encoded(Dialect.OPENAI_CHAT, model, stream=True)
    played = play(Dialect.OPENAI_CHAT, body, sleep)
    assert [chunk async for chunk in played.chunks]
    first, each = delays
    later = len(scripted(model).events) - 1
    assert slept == [first] * bool(first) + [each] * later * bool(each)


PAUSES = {"flaky-429": "2", "flaky-429-9": "9", "flaky-503-7": "7", "flaky-500": None}


@pytest.mark.parametrize(("model", "seconds"), PAUSES.items(), ids=PAUSES)
def test_a_scripted_failure_says_when_to_come_back(model: str, seconds: str | None) -> None:
    played = play(Dialect.OPENAI_CHAT, encoded(Dialect.OPENAI_CHAT, model), no_sleep)
    assert played.headers.get("retry-after") == seconds


def test_tools_are_called_with_arguments_that_fit_their_schema() -> None:
    reply = collect(scripted("tools").events)
    expected = ToolCall("call_demo0", "weather", '{"city":"one two three four five six"}')
    assert (reply.parts, reply.finish) == ((expected,), "tool_calls")


def test_reasoning_comes_before_the_answer() -> None:
    kinds = [type(event) for event in scripted("reasoning").events]
    assert kinds.index(ReasoningDelta) < kinds.index(TextDelta)


def test_a_limit_on_output_is_kept() -> None:
    script = script_for("echo", request("echo", max_output_tokens=2))
    assert script is not None
    reply = collect(script.events)
    assert (reply.text, reply.finish) == ("one two ", "length")


async def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    status, _, body, _ = await in_process(Dialect.OPENAI_CHAT, encoded(Dialect.OPENAI_CHAT, "ecko"))
    message = msgspec.json.decode(body)["error"]["message"]
    told = "The demo upstream has no model 'ecko'. Did you mean 'echo'?"
    assert (status, message) == (404, told)


# ------------------------------------------------------------------ in process and on a socket


def encoded(dialect: Dialect, model: str, *, stream: bool = False) -> bytes:
    """A request body of a dialect."""
    return CODECS[dialect].encode_request(request(model), TargetFacts(model=model, stream=stream))


Heard = tuple[int, str | None, bytes, bool]
"""Status, Retry-After, body, and whether the connection broke off."""


async def in_process(dialect: Dialect, body: bytes) -> Heard:
    played = play(dialect, body, no_sleep)
    heard, broke = bytearray(), False
    try:
        async for chunk in played.chunks:
            heard += chunk
    except TransportFailed:
        broke = True
    return played.status, played.headers.get("retry-after"), bytes(heard), broke


async def over_a_socket(gate: Gate, url: str, dialect: Dialect, body: bytes) -> Heard:
    path = next(path for path, spoken in PATHS.items() if spoken is dialect)
    response = await gate.send(
        OutboundRequest(url=url + path, headers={}, body=body, allow_private=True)
    )
    heard, broke = bytearray(), False
    try:
        async for chunk in response.chunks():
            heard += chunk
    except TransportFailed:
        broke = True
    finally:
        await response.aclose()
    return response.status, response.headers.get("retry-after"), bytes(heard), broke


@pytest.mark.parametrize("dialect", list(PATHS.values()))
async def test_the_server_and_the_sender_say_the_same(dialect: Dialect) -> None:
    with anyio.fail_after(20):
        async with served() as url:
            gate = Gate(user_agent="test")
            try:
                for model, _, _, _ in FORMS.values():
                    for stream in (False, True):
                        body = encoded(dialect, model, stream=stream)
                        here = await in_process(dialect, body)
                        there = await over_a_socket(gate, url, dialect, body)
                        assert (model, stream, there) == (model, stream, here)
            finally:
                await gate.aclose()


@pytest.mark.parametrize("dialect", list(PATHS.values()))
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_same_request_gets_the_same_bytes(dialect: Dialect, stream: bool) -> None:
    for model, _, _, _ in FORMS.values():
        body = encoded(dialect, model, stream=stream)
        assert await in_process(dialect, body) == await in_process(dialect, body), model


@pytest.mark.parametrize("dialect", list(PATHS.values()))
async def test_a_stream_says_what_the_whole_reply_says(dialect: Dialect) -> None:
    codec = CODECS[dialect]
    for model in ("echo", "tools", "reasoning", "count-3"):
        _, _, whole, _ = await in_process(dialect, encoded(dialect, model))
        _, _, stream, _ = await in_process(dialect, encoded(dialect, model, stream=True))
        decoder, frames = codec.decoder(), codec.splitter().feed(stream)
        streamed = [event for frame in frames for event in decoder.feed(frame)]
        read = [collect(events) for events in (codec.decode_reply(whole), streamed)]
        assert plain(read[0]) == plain(read[1]), model


def plain(reply: ChatReply) -> Mapping[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(reply)
    return shown


async def test_the_server_lists_its_models() -> None:
    with anyio.fail_after(10):
        async with served() as url:
            gate = Gate(user_agent="test")
            try:
                response = await gate.send(
                    OutboundRequest(
                        url=f"{url}/v1/models", headers={}, method="GET", allow_private=True
                    )
                )
                listed = msgspec.json.decode(await response.read())
            finally:
                await gate.aclose()
    assert [row["id"] for row in listed["data"]] == list(DEMO_MODELS)
