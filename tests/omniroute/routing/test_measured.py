"""What is measured of targets and combos, within a day, and what survives a restart."""

import pytest

from omniroute.routing.scoring.measured import MOST_SAMPLES, WINDOW_MS, Measured
from omniroute.routing.targets import LastGood, Performance
from omniroute.storage.records.usage import UsageRow

NOW_MS = 1_800_000_000_000


def measured(now_ms: int = NOW_MS) -> Measured:
    return Measured(lambda: now_ms)


def test_nothing_is_known_before_something_was_measured() -> None:
    assert measured().performance("p", "m") is None


def test_latency_needs_three_good_samples() -> None:
    found = measured()
    found.note("p", "m", ok=True, latency_ms=100)
    found.note("p", "m", ok=False, latency_ms=9)
    assert found.performance("p", "m") == Performance(samples=2, success_rate=0.5)
    found.note("p", "m", ok=True, latency_ms=200)
    found.note("p", "m", ok=True, latency_ms=300)
    seen = found.performance("p", "m")
    assert seen is not None
    assert (seen.samples, seen.success_rate) == (4, 0.75)
    assert (seen.avg_latency_ms, seen.p95_latency_ms) == (200, 300)
    assert seen.latency_stddev_ms == pytest.approx(81.65, abs=0.01)


def test_samples_grow_old_and_are_not_endless() -> None:
    clock = [NOW_MS]
    found = Measured(lambda: clock[0])
    for _ in range(MOST_SAMPLES + 10):
        found.note("p", "m", ok=True, latency_ms=1)
    seen = found.performance("p", "m")
    assert seen is not None
    assert seen.samples == MOST_SAMPLES
    clock[0] += WINDOW_MS + 60_001
    assert found.performance("p", "m") is None


def test_the_last_good_target_counts_for_a_day() -> None:
    clock = [NOW_MS]
    found = Measured(lambda: clock[0])
    good = LastGood(provider="p", model="m", connection="c", at_ms=NOW_MS)
    found.answered("combo", good)
    assert found.last_good("combo") == good
    clock[0] += WINDOW_MS
    assert found.last_good("combo") is None


def attempt(number: int, *, success: bool) -> UsageRow:
    return UsageRow(
        id=f"r{number}:1",
        request_id=f"r{number}",
        attempt=1,
        timestamp_ms=NOW_MS - 1_000 + number,
        provider="p",
        model="m",
        connection_id=f"c{number}",
        api_key_id=None,
        combo="combo",
        success=success,
        latency_ms=50,
        ttft_ms=20 if success else None,
    )


def test_a_new_process_knows_what_an_earlier_one_measured() -> None:
    found = measured()
    found.restore([attempt(1, success=True), attempt(2, success=True), attempt(3, success=False)])
    seen = found.performance("p", "m")
    assert seen is not None
    assert (seen.samples, round(seen.success_rate, 2)) == (3, 0.67)
    assert found.requests("combo", "p/m") == 3
    good = found.last_good("combo")
    assert good is not None
    assert good.connection == "c2"
