"""Slots, deadlines and readiness in a whole request."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.omniroute.conftest import Answer, Build, chat_call
from tests.omniroute.pipeline.test_chat import error, good, trace, verdicts
from tests.support.builders import account, combo, node, snapshot

from omniroute.chat import ChatRequest, Message, Text, Tool
from omniroute.errors import RateLimited, UpstreamFailed
from omniroute.pipeline.accounts import slots
from omniroute.pipeline.streams.readiness import readiness_s
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

ONE_SLOT = snapshot(
    nodes=[node("one", base_url="http://one.test/v1"), node("two", base_url="http://two.test/v1")],
    accounts=[account("one-one", "a", max_concurrent=1), account("two-two", "c")],
    combos=[combo("both", "one/x", "two/x")],
)


async def test_a_stream_holds_its_slot_until_it_ends(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "LONGEST_LINE", 0)
    made = bench(ONE_SLOT, good)
    first = await made.pipeline.stream_events(chat_call("one/x", stream=True))
    with pytest.raises(UpstreamFailed) as busy:
        await made.pipeline.complete(chat_call("one/x"))
    assert (busy.value.status, busy.value.error_type, busy.value.code) == (
        429,
        "account_semaphore_capacity",
        "SEMAPHORE_QUEUE_FULL",
    )
    assert [event async for output in first.outputs for event in output]
    assert (await made.pipeline.complete(chat_call("one/x"))).reply.text == "Hi you"
    assert len(made.gate.asked) == 2


async def test_a_stream_that_is_left_gives_its_slot_back(bench: Build) -> None:
    made = bench(ONE_SLOT, good)
    for _ in range(3):
        answer = await made.pipeline.stream_events(chat_call("one/x", stream=True))
        await answer.outputs.aclose()
    assert len(made.gate.asked) == 3


FAILING = {
    "an error": lambda: error(500),
    "an early end": lambda: Answer(pieces=[b""]),
    "nonsense": lambda: Answer(pieces=[b"data: {oops\n\n"]),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", FAILING.values(), ids=FAILING)
async def test_a_failure_gives_its_slot_back(bench: Build, how: object, stream: bool) -> None:
    assert callable(how)
    made = bench(ONE_SLOT, lambda _: how())
    with pytest.raises(UpstreamFailed):
        await (
            made.pipeline.stream_events(chat_call("one/x", stream=True))
            if stream
            else made.pipeline.complete(chat_call("one/x"))
        )
    lanes = list(made.pipeline.turnstiles.lanes("a"))
    assert [lane.slots.running for lane in lanes] == [0]


async def test_a_full_account_sends_a_combo_on_without_a_mark(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "LONGEST_LINE", 0)
    made = bench(ONE_SLOT, good)
    first = await made.pipeline.stream_events(chat_call("one/x", stream=True))
    answer = await made.pipeline.complete(chat_call("both"))
    assert answer.head.chosen.connection == "c"
    assert verdicts(made) == ["account_busy", None]
    assert made.health.view().blocked("one-one", "a", "x") is None
    await first.outputs.aclose()


FEW_SLOTS = snapshot(
    nodes=[node("one", base_url="http://one.test/v1"), node("two", base_url="http://two.test/v1")],
    accounts=[account("one-one", "a"), account("two-two", "c")],
    combos=[
        combo("few", "one/x", "two/x", config={"concurrencyPerModel": 1}),
        combo("open", "one/x", "two/x"),
        combo("swift", "one/x", "two/x", config={"timeoutMs": 1_000}),
    ],
)


async def test_a_combo_has_few_slots_at_a_target_and_streams_hold_them(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "LONGEST_LINE", 0)
    made = bench(FEW_SLOTS, good)
    held = await made.pipeline.stream_events(chat_call("few", stream=True))
    assert (await made.pipeline.complete(chat_call("few"))).head.chosen.connection == "c"
    assert verdicts(made) == ["account_busy", None]
    assert (await made.pipeline.complete(chat_call("open"))).head.chosen.connection == "a"
    await held.outputs.aclose()
    assert (await made.pipeline.complete(chat_call("few"))).head.chosen.connection == "a"


async def test_an_attempt_that_takes_longer_than_its_combo_waits_gives_way(
    bench: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    class Hanging(Answer):
        async def chunks(self) -> AsyncIterator[bytes]:
            await never.wait()
            yield b""

    made = bench(FEW_SLOTS, lambda r: Hanging() if "one.test" in r.url else good(r))
    async with asyncio.timeout(10):
        answer = await made.pipeline.complete(chat_call("swift"))
    assert answer.head.chosen.connection == "c"
    assert verdicts(made) == ["attempt_timeout", None]
    assert made.health.view().blocked("one-one", "a", "x") is None
    assert [lane.slots.running for lane in made.pipeline.turnstiles.lanes("a")] == [0]


async def test_no_time_left_is_a_504_and_nobody_is_asked(bench: Build) -> None:
    made = bench(ONE_SLOT, good)
    call = replace(chat_call("both"), deadline_ms=made.clock[0])
    with pytest.raises(UpstreamFailed) as late:
        await made.pipeline.complete(call)
    assert (late.value.status, late.value.code) == (504, "DEADLINE_EXCEEDED")
    assert (made.gate.asked, trace(made).attempts[-1].verdict) == ([], "deadline")
    view = made.health.view()
    assert (dict(view.cooldowns), dict(view.breakers)) == ({}, {})


async def test_time_that_runs_out_between_attempts_ends_the_walk(bench: Build) -> None:
    def slow(request: OutboundRequest) -> Answer:
        made.clock[0] += 700
        return error(500)

    made = bench(ONE_SLOT, slow)
    call = replace(chat_call("both"), deadline_ms=made.clock[0] + 500)
    with pytest.raises(UpstreamFailed) as late:
        await made.pipeline.complete(call)
    assert late.value.code == "DEADLINE_EXCEEDED"
    assert verdicts(made) == ["server_error", "deadline"]


async def test_a_pause_longer_than_the_caller_waits_is_refused_at_once(bench: Build) -> None:
    made = bench(ONE_SLOT, lambda _: error(429, retry_after="9"))
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))
    call = replace(chat_call("one/x"), deadline_ms=made.clock[0] + 5_000)
    with pytest.raises(RateLimited) as refused:
        await made.pipeline.complete(call)
    assert refused.value.retry_after_s == 9
    assert (made.slept, len(made.gate.asked)) == ([], 1)


SPARING = {"limitPolicy": {"enabled": True, "thresholdPercent": 90, "windows": ["requests"]}}
WATCHED = snapshot(
    nodes=[node("one", base_url="http://one.test/v1")],
    accounts=[account("one-one", "a", options=SPARING), account("one-one", "b", priority=2)],
)


async def test_an_account_rests_before_its_quota_is_used_up(bench: Build) -> None:
    def scarce(request: OutboundRequest) -> Answer:
        answer = good(request)
        answer.headers = {
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": "7",
            "x-ratelimit-reset-requests": "30s",
        }
        return answer

    made = bench(WATCHED, scarce)
    served = []
    for _ in range(2):
        answer = await made.pipeline.complete(chat_call("one/x"))
        served.append(answer.head.chosen.connection)
    assert served == ["a", "b"]
    made.clock[0] += 30_000
    answer = await made.pipeline.complete(chat_call("one/x"))
    assert answer.head.chosen.connection == "a"


HELLO = Message("user", (Text("Hello"),))
READY: dict[str, tuple[float | None, ChatRequest, int, float | None]] = {
    "a small request": (80, ChatRequest(model="m", messages=(HELLO,)), 0, 80),
    "many messages": (80, ChatRequest(model="m", messages=(HELLO,) * 151), 0, 100),
    "very many messages": (60, ChatRequest(model="m", messages=(HELLO,) * 401), 0, 105),
    "many tools": (
        80,
        ChatRequest(model="m", messages=(HELLO,), tools=(Tool(name="t"),) * 15),
        0,
        95,
    ),
    "a long text": (80, ChatRequest(model="m", messages=(HELLO,)), 250_001, 100),
    "a very long text": (60, ChatRequest(model="m", messages=(HELLO,)), 750_001, 105),
    "never over two minutes": (
        80,
        ChatRequest(model="m", messages=(HELLO,) * 401),
        750_001,
        120,
    ),
    "unless that is where it starts": (
        200,
        ChatRequest(model="m", messages=(HELLO,) * 401),
        0,
        200,
    ),
    "off stays off": (None, ChatRequest(model="m", messages=(HELLO,) * 401), 0, None),
}


@pytest.mark.parametrize(("base_s", "request_", "size", "expected"), READY.values(), ids=READY)
def test_much_to_read_takes_longer(
    base_s: float | None, request_: ChatRequest, size: int, expected: float | None
) -> None:
    call = replace(chat_call("m"), request=request_, body=b"x" * size if size else None)
    assert readiness_s(base_s, call) == expected
