"""Every way out of a chat call: the books are closed, the upstream is, and no probe is left."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.omniroute.pipeline.test_chat import (
    STREAM,
    USAGE,
    WHOLE,
    WORLD,
    chunk,
    error,
    first_fails,
    good,
    settled,
    trace,
    verdicts,
)
from tests.support.builders import account, node, snapshot

from omniroute.caller import Caller
from omniroute.chat import Dialect
from omniroute.errors import Forbidden, OmniRouteError, UpstreamFailed
from omniroute.pipeline.attempt import Limits
from omniroute.routing.resilience.health import BREAKER_RESET_MS, Breaker
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

ONE = snapshot(
    nodes=[node("one", base_url="http://one.test/v1")], accounts=[account("one-one", "a")]
)


def half_open(made: Bench) -> None:
    """Provider `one` has been failing; the next call is its probe."""
    failed_ms = made.clock[0] - BREAKER_RESET_MS
    made.health._breakers = {
        "one-one": Breaker(failures=12, last_failure_ms=failed_ms, tripped=True)
    }


def probing(made: Bench) -> bool:
    breaker = made.health.view().breakers.get("one-one")
    return breaker is not None and breaker.probing


class Silent(Answer):
    """Headers, and then nothing."""

    async def chunks(self) -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""


Use = Callable[[Bench], Coroutine[Any, Any, None]]


async def use_whole(made: Bench) -> None:
    await made.pipeline.complete(chat_call("one/x"))


async def use_stream(made: Bench) -> None:
    answer = await made.pipeline.stream_bytes(
        chat_call("one/x", stream=True, dialect=Dialect.ANTHROPIC)
    )
    try:
        async for _ in answer.outputs:
            pass
    finally:
        await answer.outputs.aclose()


USES: dict[str, Use] = {"whole": use_whole, "stream": use_stream}
EXITS: dict[str, Callable[[OutboundRequest], Answer | Exception]] = {
    "a good answer": good,
    "a server error": lambda _: error(500),
    "a rate limit": lambda _: error(429),
    "a malformed request": lambda _: error(400, "bad"),
    "nobody there": lambda _: TransportFailed("connect", "no"),
    "a broken connection": lambda _: TransportFailed("broken", "no"),
    "an answer that is not valid": lambda _: Answer(pieces=[b"data: {oops\n\n"]),
    "an answer without content": lambda _: Answer(pieces=[b"data: [DONE]\n\n"]),
    "half an answer": lambda _: Answer(pieces=[*STREAM[:3], TransportFailed("broken", "no")]),
    "an answer that ends early": lambda _: Answer(pieces=STREAM[:3]),
    "an error inside": lambda _: Answer(
        pieces=[*STREAM[:3], b'data: {"error":{"message":"x","code":500}}\n\n']
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("answers", EXITS.values(), ids=EXITS)
async def test_every_exit_leaves_nothing_behind(
    bench: Build,
    answers: Callable[[OutboundRequest], Answer | Exception],
    use: Use,
) -> None:
    made = bench(ONE, answers)
    half_open(made)
    with suppress(OmniRouteError):
        await use(made)
    assert (settled(made), probing(made), len(made.records)) == (True, False, 1)
    assert [answer.closed for answer in made.gate.given] == [True] * len(made.gate.given)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_caller_that_leaves_before_the_answer_is_nobodys_failure(
    bench: Build, use: Use
) -> None:
    made = bench(ONE, lambda _: Silent())
    half_open(made)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(use, made)
            while not made.gate.given:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            assert probing(made)
            group.cancel_scope.cancel()
    found = trace(made)
    assert (found.outcome, found.status) == ("client_gone", 499)
    assert [(row.verdict, row.action) for row in found.attempts] == [("client_gone", "answer")]
    assert [row.success for row in made.records[0].usage] == [False]
    assert (settled(made), probing(made)) == (True, False)
    assert made.gate.given[0].closed
    assert made.health.view().cooldowns == {}


async def test_a_caller_that_leaves_mid_stream_gives_the_probe_back(bench: Build) -> None:
    made = bench(ONE, good)
    half_open(made)
    answer = await made.pipeline.stream_bytes(
        chat_call("one/x", stream=True, dialect=Dialect.ANTHROPIC)
    )
    await anext(aiter(answer.outputs))
    assert probing(made)
    await answer.outputs.aclose()
    assert (probing(made), settled(made), made.gate.given[0].closed) == (False, True, True)
    await answer.outputs.aclose()
    assert len(made.records) == 1


WHOLE_ONLY: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"<html>", "malformed_reply"),
    "nothing": (b"", "malformed_reply"),
    "no content": (
        b'{"choices":[{"index":0,"message":{"content":""},"finish_reason":"stop"}]}',
        "empty_content",
    ),
    "an error with status 200": (b'{"error":{"message":"tired","code":500}}', "server_error"),
}


@pytest.mark.parametrize(("body", "verdict"), WHOLE_ONLY.values(), ids=WHOLE_ONLY)
async def test_a_whole_reply_that_is_none_is_asked_for_elsewhere(
    bench: Build, body: bytes, verdict: str
) -> None:
    made = bench(WORLD, first_fails(lambda: Answer(pieces=[body])))
    answer = await made.pipeline.complete(chat_call("both"))
    assert (answer.reply.text, set(verdicts(made))) == ("Hi you", {verdict, None})


async def test_a_whole_reply_in_the_callers_dialect_is_handed_on_as_it_came(bench: Build) -> None:
    made = bench(ONE, good)
    body = b'{"model":"one/x","messages":[{"role":"user","content":"Hello"}]}'
    call = chat_call("one/x", dialect=Dialect.OPENAI_CHAT, body=body)
    answer = await made.pipeline.complete(call)
    assert answer.body == WHOLE
    assert made.gate.asked[0].body == body.replace(b"one/x", b"x")


async def test_a_whole_reply_in_another_dialect_is_written_anew(bench: Build) -> None:
    made = bench(ONE, good)
    answer = await made.pipeline.complete(chat_call("one/x", dialect=Dialect.ANTHROPIC))
    shown = json.loads(answer.body)
    assert (shown["type"], shown["content"][0]["text"]) == ("message", "Hi you")
    assert trace(made).translated


async def test_a_broken_connection_is_tried_once_more_at_the_same_account(bench: Build) -> None:
    tries: list[str] = []

    def answers(request: OutboundRequest) -> Answer | Exception:
        tries.append(request.url)
        return TransportFailed("broken", "no") if len(tries) == 1 else good(request)

    made = bench(ONE, answers)
    await made.pipeline.complete(chat_call("one/x"))
    assert verdicts(made) == ["unreachable", None]
    assert made.health.view().cooldowns == {}


async def test_the_earliest_recovery_counts_targets_that_were_left_out(bench: Build) -> None:
    def answers(request: OutboundRequest) -> Answer:
        return error(429, retry_after="20" if "one.test" in request.url else "600")

    made = bench(WORLD, answers)
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))
    with pytest.raises(UpstreamFailed) as failed:
        await made.pipeline.complete(chat_call("both"))
    asked = ["one.test" in request.url for request in made.gate.asked]
    assert asked == [True, True, False]
    assert failed.value.retry_after_s == 20


async def test_a_failed_request_is_recorded_with_the_status_its_caller_saw(bench: Build) -> None:
    made = bench(ONE, lambda _: error(429))
    with pytest.raises(UpstreamFailed) as failed:
        await made.pipeline.complete(chat_call("one/x"))
    found = trace(made)
    assert (found.outcome, found.status, found.error) == ("failed", 429, str(failed.value))
    assert (made.records[0].trace.status, made.records[0].trace.success) == (429, False)


@pytest.mark.parametrize(("retry_after", "slept"), {"31": [], "30": [30.031]}.items())
async def test_a_long_pause_is_not_waited_for(
    bench: Build, retry_after: str, slept: list[float]
) -> None:
    tries: list[int] = []

    def answers(request: OutboundRequest) -> Answer:
        tries.append(1)
        return error(429, retry_after=retry_after) if len(tries) == 1 else good(request)

    made = bench(ONE, answers)
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))
    made.records.clear()
    with suppress(OmniRouteError):
        await made.pipeline.complete(chat_call("one/x"))
    assert made.slept == slept
    assert trace(made).outcome == ("completed" if slept else "refused")


async def test_what_stays_paused_is_waited_for_three_times(bench: Build) -> None:
    made = bench(ONE, lambda _: error(429, retry_after="2"))
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))

    async def sleep(seconds: float) -> None:
        """Wakes up too early every time."""
        made.slept.append(seconds)

    object.__setattr__(made.pipeline, "sleep", sleep)
    with pytest.raises(OmniRouteError):
        await made.pipeline.complete(chat_call("one/x"))
    assert made.slept == [2.003] * 3


# Pieces, whether the answer counts as complete, and whether usage was read.
LATE: dict[str, tuple[tuple[bytes, ...], str, bool]] = {
    "all in one piece": ((b"".join(STREAM),), "completed", True),
    "byte by byte": (tuple(bytes([one]) for one in b"".join(STREAM)), "completed", True),
    "garbage after the marker": ((*STREAM, b"data: {oops"), "completed", True),
    "no blank line after the marker": ((*STREAM[:5], b"data: [DONE]"), "completed", True),
    "no marker": (STREAM[:5], "completed", True),
    "no blank line after the usage": ((*STREAM[:4], USAGE.rstrip()), "completed", True),
    "no blank line after the reason": (
        (*STREAM[:3], chunk({}, "stop").rstrip()),
        "completed",
        False,
    ),
    "no blank line after an error": (
        (*STREAM[:3], b'data: {"error":{"message":"x","code":500}}'),
        "cut",
        False,
    ),
    "half a frame": ((*STREAM[:3], STREAM[3][:20]), "cut", False),
    "one frame without its blank line": (
        (chunk({"content": "Hi"}, "stop").rstrip(),),
        "completed",
        False,
    ),
}


@pytest.mark.parametrize("same", [True, False], ids=["relayed", "translated"])
@pytest.mark.parametrize(("pieces", "outcome", "counted"), LATE.values(), ids=LATE)
async def test_what_the_trace_says_is_what_the_caller_got(
    bench: Build, pieces: tuple[bytes, ...], outcome: str, counted: bool, same: bool
) -> None:
    made = bench(ONE, lambda _: Answer(pieces=pieces))
    dialect = Dialect.OPENAI_CHAT if same else Dialect.ANTHROPIC
    body = b'{"model":"one/x","stream":true,"messages":[]}'
    call = chat_call("one/x", stream=True, dialect=dialect, body=body if same else None)
    answer = await made.pipeline.stream_bytes(call)
    text = b"".join([output async for output in answer.outputs]).decode()
    found = trace(made)
    assert (found.outcome, found.usage_estimated) == (outcome, not counted)
    assert ('"error"' in text) == (outcome == "cut"), text
    assert "Hi" in text
    assert settled(made)


async def test_no_headers_in_time_is_a_timeout(bench: Build) -> None:
    made = bench(WORLD, first_fails(lambda: TransportFailed("timeout", "slow")), Limits())
    answer = await made.pipeline.complete(chat_call("both"))
    assert verdicts(made) == ["unreachable", "unreachable", None]
    assert [row.status for row in answer.head.attempts] == [504, 504, 200]


async def test_the_record_counts_each_attempt_once(bench: Build) -> None:
    made = bench(WORLD, first_fails(lambda: error(500)))
    await made.pipeline.complete(chat_call("both"))
    rows = [
        (row.id, row.success, row.status, row.output_tokens, row.error_code)
        for row in made.records[0].usage
    ]
    assert rows == [
        ("request-1:1", False, 500, 0, "server_error"),
        ("request-1:2", False, 500, 0, "server_error"),
        ("request-1:3", True, 200, 2, None),
    ]
    assert msgspec.json.decode(made.records[0].trace.data)["request_id"] == "request-1"


async def test_of_two_requests_at_once_one_is_the_probe(bench: Build) -> None:
    made = bench(ONE, lambda _: Silent())
    half_open(made)
    told: list[str | None] = []

    async def second() -> None:
        with pytest.raises(OmniRouteError) as refused:
            await made.pipeline.complete(chat_call("one/x"))
        told.append(refused.value.code)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(use_whole, made)
            await anyio.wait_all_tasks_blocked()
            await second()
            group.cancel_scope.cancel()
    assert (told, len(made.gate.asked)) == (["provider_circuit_open"], 1)
    assert settled(made)


async def test_a_key_and_a_pin_choose_the_account(bench: Build) -> None:
    bound = Caller(door="http", key_id="k", allowed_connections=("b", "c"))
    chosen = {}
    for name, call in {
        "anybody": chat_call("both"),
        "bound to accounts": chat_call("both", caller=bound),
        "pinned": dataclasses.replace(chat_call("both"), pinned_connection="c"),
    }.items():
        made = bench(WORLD, good)
        answer = await made.pipeline.complete(call)
        chosen[name] = answer.head.chosen.connection
    assert chosen == {"anybody": "a", "bound to accounts": "b", "pinned": "c"}


async def test_a_key_may_not_use_other_models(bench: Build) -> None:
    made = bench(WORLD, good)
    stranger = Caller(door="http", key_id="k", allowed_models=("two/*",))
    with pytest.raises(Forbidden):
        await made.pipeline.complete(chat_call("one/x", caller=stranger))
    assert made.gate.asked == []
    assert trace(made).outcome == "refused"
