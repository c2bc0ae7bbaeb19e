"""Every phase of a request gets the time it took, on a clock that moves only when told."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.omniroute.pipeline.test_chat import STREAM, WHOLE, WORLD, error

from omniroute.errors import OmniRouteError
from omniroute.pipeline.telemetry import MOST_SAMPLES, Sample, Telemetry
from omniroute.routing.percentile import percentile
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio


@dataclass
class Slow(Answer):
    """An answer that takes 100 ms for every piece."""

    tick: Callable[[int], None] = lambda _ms: None

    async def chunks(self) -> AsyncIterator[bytes]:
        async for piece in super().chunks():
            self.tick(100)
            yield piece


def slow_bench(bench: Build, fails: Callable[[OutboundRequest], bool] = lambda _: False) -> Bench:
    """Upstreams take 30 ms to answer."""

    def answers(request: OutboundRequest) -> Answer:
        tick(30)
        if fails(request):
            return error(500)
        streams = b'"stream":true' in (request.body or b"")
        return Slow(pieces=STREAM if streams else (WHOLE,), tick=tick)

    made = bench(WORLD, answers)

    def tick(ms: int) -> None:
        made.clock[0] += ms

    return made


def samples(made: Bench) -> list[Sample]:
    return list(made.pipeline.telemetry.since(0))


def laps(sample: Sample) -> dict[str, int]:
    """Milliseconds."""
    return {phase: round(1000 * seconds) for phase, seconds in sample.laps.items()}


async def test_a_whole_answer_is_waited_for_and_then_read(bench: Build) -> None:
    made = slow_bench(bench)
    await made.pipeline.complete(chat_call("one/x"))
    (sample,) = samples(made)
    assert laps(sample) == {"policy": 0, "resolve": 0, "connect": 30, "stream": 100, "finalize": 0}
    assert (sample.provider, sample.failed, round(sample.total_s, 3)) == ("one-one", False, 0.13)


async def test_a_stream_lasts_until_its_last_byte(bench: Build) -> None:
    made = slow_bench(bench)
    answer = await made.pipeline.stream_events(chat_call("one/x", stream=True))
    made.clock[0] += 50  # its caller takes its time
    assert [event async for events in answer.outputs for event in events]
    (sample,) = samples(made)
    assert laps(sample)["connect"] == 30
    assert laps(sample)["stream"] == 50 + 100 * len(STREAM)


async def test_attempts_that_fail_are_a_part_of_connecting(bench: Build) -> None:
    made = slow_bench(bench, lambda request: "one.test" in request.url)
    await made.pipeline.complete(chat_call("both"))
    (sample,) = samples(made)
    assert sample.provider == "two-two"
    assert laps(sample)["connect"] == 30 * len(made.gate.asked) > 30


async def test_who_gets_no_answer_is_counted_and_has_no_phase_that_did_not_happen(
    bench: Build,
) -> None:
    made = slow_bench(bench, lambda _: True)
    for model in ("no-such-model", "one/x"):
        with pytest.raises(OmniRouteError):
            await made.pipeline.complete(chat_call(model))
    refused, failed = samples(made)
    assert (refused.failed, failed.failed, refused.provider, failed.provider) == (
        True,
        True,
        None,
        None,
    )
    assert set(refused.laps) == {"policy", "finalize"}
    assert laps(failed)["connect"] == 30 * len(made.gate.asked) > 0
    assert "stream" not in failed.laps


async def test_waiting_for_somebody_elses_answer_is_no_phase(bench: Build) -> None:
    made = slow_bench(bench)
    call = chat_call("one/x")
    call = dataclasses.replace(call, request=msgspec.structs.replace(call.request, temperature=0))
    for _ in range(2):
        await made.pipeline.complete(call)
        made.clock[0] += 5
    first, second = samples(made)
    assert len(made.gate.asked) == 1
    assert (first.provider, second.provider) == ("one-one", None)
    assert laps(second) == {"finalize": 0}


def test_only_the_newest_are_kept_and_only_those_of_the_window_given() -> None:
    now = [0]
    telemetry = Telemetry(lambda: now[0])
    for now[0] in range(MOST_SAMPLES + 5):
        telemetry.note(telemetry.watch(), "p", "completed")
    assert [sample.at_ms for sample in telemetry.since(0)] == list(range(5, MOST_SAMPLES + 5))
    assert [sample.at_ms for sample in telemetry.since(MOST_SAMPLES + 3)] == [
        MOST_SAMPLES + 3,
        MOST_SAMPLES + 4,
    ]


RANKS: dict[str, tuple[list[float], int, float]] = {
    "of nothing": ([], 95, 0),
    "of one": ([7], 50, 7),
    "the middle of two is the first": ([1, 2], 50, 1),
    "half of ten": (list(range(1, 11)), 50, 5),
    "the 95th of twenty is no rounding error": (list(range(1, 21)), 95, 19),
    "the 95th of ten": (list(range(1, 11)), 95, 10),
    "the 99th of a hundred": (list(range(1, 101)), 99, 99),
    "all of them": ([1, 2, 3], 100, 3),
}


@pytest.mark.parametrize(("values", "percent", "expected"), RANKS.values(), ids=RANKS)
def test_percentiles_are_nearest_ranks(values: list[float], percent: int, expected: float) -> None:
    assert percentile(values, percent) == expected
