"""When to come back: every form a header or text may have."""

import pytest

from omniroute.routing.resilience.retry_hints import MAX_HINT_MS, retry_after_ms

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
    "a text with a date": (429, {}, "Try again at 2027-01-15T08:00:05Z", 5_000),
    "a text with a date and an offset": (
        429,
        {},
        "The limit resets at 2027-01-15T09:00:05.500+01:00.",
        5_500,
    ),
    "retry after a date": (429, {}, "Please retry after 2027-01-15T08:00:05Z.", 5_000),
    "a text with a date that has passed": (429, {}, "available at 2027-01-15T07:00:00Z", None),
    "a text with a date that is none": (429, {}, "try again at 2027-99-99T99:99:99Z", None),
    "the header before the text": (429, {"retry-after": "7"}, "retry after 20 seconds", 7_000),
    "the latest of several resets": (
        429,
        {"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"},
        "",
        360_000,
    ),
    "the limit that is used up before others": (
        429,
        {
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-tokens": "6m0s",
            "x-ratelimit-remaining-tokens": "900",
        },
        "",
        1_000,
    ),
    "a used up limit of Anthropic's": (
        429,
        {
            "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:20Z",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2027-01-15T08:09:00Z",
            "anthropic-ratelimit-requests-remaining": "7",
        },
        "",
        20_000,
    ),
    "a reset that has passed": (
        429,
        {"x-ratelimit-reset": "1799999999"},
        "retry after 2s",
        2_000,
    ),
    "milliseconds": (429, {"retry-after-ms": "250", "retry-after": "1"}, "", 250),
    "milliseconds that are none": (429, {"retry-after-ms": "x", "retry-after": "1"}, "", 1_000),
    "a text about a quota": (403, {}, "Your quota will reset after 2h", 7_200_000),
    "no number": (429, {"retry-after": "nan"}, "", None),
    "infinity": (429, {"retry-after": "inf"}, "", MAX_HINT_MS),
    "a negative number": (429, {"retry-after": "-5"}, "", None),
    "a date out of all bounds": (429, {"retry-after": "9999-12-31T23:59:59Z"}, "", MAX_HINT_MS),
    "an endless text": (429, {}, "retry after " + "9" * 400 + "s", MAX_HINT_MS),
    "never more than a day": (429, {"retry-after": "9999999"}, "", MAX_HINT_MS),
    "nonsense": (429, {"retry-after": "soon"}, "try later", None),
    "nothing": (429, {}, "", None),
}


@pytest.mark.parametrize(("status", "headers", "text", "expected"), HINTS.values(), ids=HINTS)
def test_a_hint_is_read(
    status: int, headers: dict[str, str], text: str, expected: int | None
) -> None:
    assert retry_after_ms(status, headers, text, NOW_MS) == expected


DELAYS = {
    "in seconds": (429, b'{"details":[{"retryDelay":"33s"}]}', 33_000),
    "in fractions": (429, b'{"details":[{"retryDelay": "1.5s"}]}', 1_500),
    "in milliseconds": (429, b'{"details":[{"retryDelay":"1500ms"}]}', 1_500),
    "in hours": (429, b'{"details":[{"retryDelay":"1h"}]}', 3_600_000),
    "a number": (429, b'{"details":[{"retryDelay": 7}]}', 7_000),
    "bare": (429, b'{"details":[{"retryDelay":"7"}]}', 7_000),
    "nonsense": (429, b'{"details":[{"retryDelay":"soon"}]}', None),
    "on another status": (500, b'{"details":[{"retryDelay":"33s"}]}', None),
    "absent": (429, b"{}", None),
}


@pytest.mark.parametrize(("status", "body", "expected"), DELAYS.values(), ids=DELAYS)
def test_a_delay_is_read_from_the_details_of_an_error(
    status: int, body: bytes, expected: int | None
) -> None:
    assert retry_after_ms(status, {}, "", NOW_MS, body) == expected
