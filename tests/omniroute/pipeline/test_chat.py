"""The whole way of a chat call over scripted upstreams: every exit leaves the books closed."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, node, snapshot

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.errors import BudgetExceeded, OmniRouteError, UpstreamFailed
from omniroute.pipeline.attempt import Limits
from omniroute.routing.trace import RouteTrace
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

WORLD = snapshot(
    nodes=[
        node("one", base_url="http://one.test/v1"),
        node("two", base_url="http://two.test/v1"),
    ],
    accounts=[
        account("one-one", "a"),
        account("one-one", "b", priority=2),
        account("two-two", "c"),
    ],
    combos=[combo("both", "one/x", "two/y")],
)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], **more}).encode() + b"\n\n"


USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
STREAM = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hi "}),
    chunk({"content": "you"}),
    chunk({}, "stop"),
    USAGE,
    b"data: [DONE]\n\n",
)
WHOLE = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"content": "Hi you"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
).encode()


def good(request: OutboundRequest) -> Answer:
    """What a healthy upstream answers."""
    return Answer(pieces=STREAM if b'"stream":true' in (request.body or b"") else (WHOLE,))


def error(status: int, message: str = "no", **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message}}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, (body,))


def first_fails(how: Callable[[], Answer | Exception]) -> Callable[[OutboundRequest], Any]:
    """Upstream `one` fails, `two` is well."""
    return lambda request: how() if "one.test" in request.url else good(request)


def trace(bench: Bench) -> RouteTrace:
    """The one trace that was recorded."""
    assert len(bench.records) == 1
    return msgspec.json.decode(bench.records[0].trace.data, type=RouteTrace)


def verdicts(bench: Bench) -> list[str | None]:
    return [attempt.verdict for attempt in trace(bench).attempts]


def settled(bench: Bench) -> bool:
    return bench.ledger.open_reservations == 0 and bench.ledger.reserved_micro_usd == 0


BEFORE_CONTENT: dict[str, tuple[Callable[[], Answer | Exception], list[str | None]]] = {
    "500": (lambda: error(500), ["server_error", "server_error", None]),
    "429": (lambda: error(429, retry_after="9"), ["rate_limited", "rate_limited", None]),
    "401": (lambda: error(401), ["unauthorized", "unauthorized", None]),
    "connect refused": (
        lambda: TransportFailed("connect", "no"),
        ["unreachable", "unreachable", None],
    ),
    "a connection cut before headers is tried once more": (
        lambda: TransportFailed("broken", "no"),
        ["unreachable", "unreachable", "unreachable", "unreachable", None],
    ),
    "an unknown model leaves the target at once": (
        lambda: error(404, "The model does not exist"),
        ["unknown_model", None],
    ),
    "too much context leaves the target at once": (
        lambda: error(400, "This model's maximum context length is 5 tokens"),
        ["context_overflow", None],
    ),
}
STREAM_ONLY: dict[str, tuple[Callable[[], Answer | Exception], list[str | None]]] = {
    "ends before content": (
        lambda: Answer(pieces=STREAM[:1]),
        ["stream_early_eof", None],
    ),
    "a malformed frame": (lambda: Answer(pieces=[b"data: {oops\n\n"]), ["malformed_reply", None]),
    "an error inside": (
        lambda: Answer(pieces=[b'data: {"error":{"message":"x","code":500}}\n\n']),
        ["server_error", "server_error", None],
    ),
    "nothing but an ending": (
        lambda: Answer(pieces=[chunk({}, "stop"), b"data: [DONE]\n\n"]),
        ["empty_content", None],
    ),
}


@pytest.mark.parametrize(("how", "expected"), BEFORE_CONTENT.values(), ids=BEFORE_CONTENT)
async def test_a_whole_reply_comes_from_the_next_target(
    bench: Build, how: Callable[[], Answer | Exception], expected: list[str | None]
) -> None:
    made = bench(WORLD, first_fails(how))
    answer = await made.pipeline.complete(chat_call("both"))
    assert answer.reply.text == "Hi you"
    assert verdicts(made) == expected
    assert settled(made)


@pytest.mark.parametrize("dialect", list(CODECS))
@pytest.mark.parametrize(
    ("how", "expected"),
    [*BEFORE_CONTENT.values(), *STREAM_ONLY.values()],
    ids=[*BEFORE_CONTENT, *STREAM_ONLY],
)
async def test_a_stream_comes_from_the_next_target(
    bench: Build,
    how: Callable[[], Answer | Exception],
    expected: list[str | None],
    dialect: Dialect,
) -> None:
    made = bench(WORLD, first_fails(how))
    call = chat_call("both", stream=True, dialect=dialect)
    answer = await made.pipeline.stream_bytes(call)
    text = b"".join([output async for output in answer.outputs]).decode()
    assert ("Hi " in text, "you" in text) == (True, True)
    assert verdicts(made) == expected
    assert settled(made)


async def test_a_slow_first_byte_is_not_waited_for(bench: Build) -> None:
    class Silent(Answer):
        async def chunks(self):  # type: ignore[no-untyped-def]
            await anyio.sleep_forever()
            yield b""

    made = bench(WORLD, first_fails(Silent), Limits(readiness_s=0.01))
    with anyio.fail_after(5):
        answer = await made.pipeline.stream_events(chat_call("both", stream=True))
        events = [event async for output in answer.outputs for event in output]
    assert events
    assert verdicts(made) == ["stream_timeout", None]
    assert made.gate.given[0].closed


async def test_a_malformed_request_is_not_carried_around(bench: Build) -> None:
    made = bench(WORLD, lambda _: error(400, "messages: bad"))
    with pytest.raises(UpstreamFailed) as failed:
        await made.pipeline.complete(chat_call("both"))
    assert (failed.value.status, len(made.gate.asked)) == (400, 1)
    assert settled(made)


async def test_the_caller_hears_the_most_informative_failure_and_the_earliest_recovery(
    bench: Build,
) -> None:
    def answers(request: OutboundRequest) -> Answer:
        if "one.test" in request.url:
            return error(429, "slow down", retry_after="60")
        return error(503, retry_after="20")

    made = bench(WORLD, answers)
    with pytest.raises(UpstreamFailed) as failed:
        await made.pipeline.complete(chat_call("both"))
    assert (failed.value.status, failed.value.retry_after_s) == (429, 20)
    assert trace(made).outcome == "failed"


RAW = b'{"model":"one/x","stream":true,"z":1.50,"messages":[{"content":"Hello","role":"user"}]}'


async def test_the_same_dialect_is_relayed_as_it_came(bench: Build) -> None:
    made = bench(WORLD, lambda _: Answer(pieces=STREAM))
    call = chat_call("one/x", stream=True, dialect=Dialect.OPENAI_CHAT, body=RAW)
    answer = await made.pipeline.stream_bytes(call)
    outputs = [output async for output in answer.outputs]
    body = b"".join(outputs)
    remarks = [line for line in body.split(b"\n\n") if line.startswith(b": x-omniroute-")]
    assert remarks == [
        b": x-omniroute-latency-ms=0",
        b": x-omniroute-tokens-in=5",
        b": x-omniroute-tokens-out=2",
        b": x-omniroute-response-cost=0.0000000000",
    ]
    for line in remarks:
        body = body.replace(line + b"\n\n", b"")
    assert body == b"".join(STREAM).replace(USAGE, b"")
    assert b"".join(outputs).endswith(b"data: [DONE]\n\n")
    sent = made.gate.asked[0].body or b""
    assert b'"z":1.50,"messages":[{"content":"Hello","role":"user"}]' in sent
    assert (answer.receipt.input_tokens, answer.receipt.output_tokens) == (5, 2)


async def test_the_books_are_closed_before_the_last_byte_leaves(bench: Build) -> None:
    for dialect in CODECS:
        made = bench(WORLD, good)
        call = chat_call("one/x", stream=True, dialect=dialect)
        answer = await made.pipeline.stream_bytes(call)
        recorded = [len(made.records) async for output in answer.outputs if output]
        assert recorded[-1] == 1
        assert recorded[0] == 0


CUTS: dict[str, tuple[tuple[bytes | Exception, ...], str]] = {
    "an end without a marker": (STREAM[:3], "ended before"),
    "a broken connection": ((*STREAM[:3], TransportFailed("broken", "It broke off")), "broke off"),
    "an error inside": (
        (*STREAM[:3], b'data: {"error":{"message":"tired","code":500}}\n\n'),
        "tired",
    ),
    "nonsense": ((*STREAM[:3], b"data: {oops\n\n"), "One: "),
}


@pytest.mark.parametrize("same", [True, False], ids=["relayed", "translated"])
@pytest.mark.parametrize(("pieces", "told"), CUTS.values(), ids=CUTS)
async def test_a_cut_stream_ends_in_an_error_event(
    bench: Build, pieces: tuple[bytes | Exception, ...], told: str, same: bool
) -> None:
    made = bench(WORLD, lambda _: Answer(pieces=pieces))
    dialect = Dialect.OPENAI_CHAT if same else Dialect.ANTHROPIC
    call = chat_call("one/x", stream=True, dialect=dialect, body=RAW if same else None)
    answer = await made.pipeline.stream_bytes(call)
    text = b"".join([output async for output in answer.outputs]).decode()
    assert told in text
    assert '"error"' in text
    assert "message_stop" not in text
    found = trace(made)
    assert (found.outcome, found.attempts[-1].verdict) == ("cut", "stream_cut")
    assert settled(made)
    assert made.gate.given[0].closed


@pytest.mark.parametrize("after", [1, 2])
async def test_a_caller_that_leaves_closes_the_upstream_and_the_books(
    bench: Build, after: int
) -> None:
    made = bench(WORLD, good)
    answer = await made.pipeline.stream_bytes(
        chat_call("one/x", stream=True, dialect=Dialect.OPENAI_CHAT)
    )
    outputs = aiter(answer.outputs)
    for _ in range(after):
        await anext(outputs)
    await answer.outputs.aclose()
    assert made.gate.given[0].closed
    assert settled(made)
    assert (trace(made).outcome, trace(made).status) == ("client_gone", 499)
    assert made.health.view().breakers == {}


async def test_an_answer_that_is_never_read_can_be_closed(bench: Build) -> None:
    made = bench(WORLD, good)
    answer = await made.pipeline.stream_bytes(
        chat_call("one/x", stream=True, dialect=Dialect.OPENAI_CHAT)
    )
    assert made.ledger.open_reservations == 1
    await answer.outputs.aclose()
    assert made.gate.given[0].closed
    assert (settled(made), trace(made).outcome) == (True, "client_gone")


async def test_one_model_waits_for_its_accounts_to_recover(bench: Build) -> None:
    tries: list[int] = []

    def answers(request: OutboundRequest) -> Answer:
        tries.append(1)
        return error(429, retry_after="3") if len(tries) <= 2 else good(request)

    made = bench(WORLD, answers)
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))
    made.records.clear()
    answer = await made.pipeline.complete(chat_call("one/x"))
    assert answer.reply.text == "Hi you"
    assert made.slept == [3.004]
    assert trace(made).waited_ms == 3004


async def test_a_combo_does_not_wait(bench: Build) -> None:
    made = bench(WORLD, lambda _: error(429, retry_after="3"))
    for _ in range(2):
        with pytest.raises(OmniRouteError):
            await made.pipeline.complete(chat_call("both"))
    assert made.slept == []


async def test_a_budget_that_cannot_even_read_the_request_is_refused(bench: Build) -> None:
    world = snapshot(accounts=[account("openai", "o")])
    made = bench(world, good)
    with pytest.raises(BudgetExceeded):
        await made.pipeline.complete(chat_call("openai/gpt-4o", max_cost_micro_usd=0))
    assert (trace(made).outcome, settled(made)) == ("refused", True)


async def test_known_prices_become_costs_and_unknown_ones_stay_unknown(bench: Build) -> None:
    world = snapshot(accounts=[account("openai", "o")])
    priced = bench(world, good)
    answer = await priced.pipeline.complete(chat_call("openai/gpt-4o-mini"))
    assert answer.receipt.cost_micro_usd == 2  # 5 x 0.15 + 2 x 0.60, rounded up
    assert priced.records[0].usage[0].cost_micro_usd == 2
    unpriced = bench(WORLD, good)
    assert (await unpriced.pipeline.complete(chat_call("one/x"))).receipt.cost_micro_usd is None


async def test_what_the_upstream_says_it_cost_is_what_it_cost(bench: Build) -> None:
    body = (
        b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1000,"completion_tokens":1000,"cost":0.000123}}'
    )
    there = snapshot(accounts=[account("openai", "mine")])
    made = bench(there, lambda _: Answer(pieces=(body,)))
    answer = await made.pipeline.complete(chat_call("openai/gpt-4o-mini"))
    assert answer.receipt.cost_micro_usd == 123
    (row,) = made.records[0].usage
    assert row.cost_micro_usd == 123
