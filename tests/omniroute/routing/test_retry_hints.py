"""When to come back: every form a header or text may have."""

import pytest

from omniroute.routing.retry_hints import MAX_HINT_MS, retry_after_ms

NOW_MS = 1_800_000_000_000

HINTS: dict[str, tuple[int, dict[str, str], str, int | None]] = {
    "seconds": (429, {"retry-after": "7"}, "", 7_000),
    "seconds on another status": (503, {"retry-after": "7"}, "", 7_000),
    "a date": (429, {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", 30_000),
    "a date that has passed": (429, {"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, "", None),
    "a duration": (429, {"retry-after": "2m"}, "", 120_000),
    "reset as epoch seconds": (429, {"x-ratelimit-reset": "1800000060"}, "", 60_000),
    "reset as epoch milliseconds": (429, {"x-ratelimit-reset": "1800000060000"}, "", 60_000),
    "reset as a duration": (429, {"x-ratelimit-reset-tokens": "1m30s500ms"}, "", 90_500),
    "reset as ISO": (
        429,
        {"anthropic-ratelimit-requests-reset": "2027-01-15T08:00:10Z"},
        "",
        10_000,
    ),
    "a text in seconds": (429, {}, "Please retry after 20 seconds.", 20_000),
    "a text in units": (429, {}, "Quota will reset after 1h2m3s", 3_723_000),
    "a text on another status": (500, {}, "retry after 20 seconds", None),
    "a reset header on another status": (500, {"x-ratelimit-reset": "1800000060"}, "", None),
    "never more than a day": (429, {"retry-after": "9999999"}, "", MAX_HINT_MS),
    "nonsense": (429, {"retry-after": "soon"}, "try later", None),
    "nothing": (429, {}, "", None),
}


@pytest.mark.parametrize(("status", "headers", "text", "expected"), HINTS.values(), ids=HINTS)
def test_a_hint_is_read(
    status: int, headers: dict[str, str], text: str, expected: int | None
) -> None:
    assert retry_after_ms(status, headers, text, NOW_MS) == expected
