"""When a refused request may be tried again, read from headers and error texts. Source: 05 §4.5."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_HINT_MS = 24 * 60 * 60 * 1000
_EPOCH_MS_ABOVE = 10**10
_EPOCH_S_ABOVE = 1_700_000_000

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_TEXT = re.compile(
    r"(?:retry after|try again in|reset after|retry in)\s+"
    r"((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s)[a-z]*\s*)+|\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_TEXT_DATE = re.compile(
    r"(?:retry after|try again at|wait until|resets? at|available at)\s+"
    r"(\d{4}-\d{2}-\d{2}T[\d:.]{5,16}(?:Z|[+-]\d{2}:?\d{2})?)",
    re.IGNORECASE,
)
# Google's `RetryInfo` in the details of an error; a bare number is seconds.
_RETRY_DELAY = re.compile(rb'"retryDelay"\s*:\s*"([\w.]{1,32})"')
_RESET_HEADERS = (
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
    "x-ratelimit-reset",
)


def retry_after_ms(
    status: int, headers: Mapping[str, str], message: str, now_ms: int, body: bytes = b""
) -> int | None:
    """Milliseconds until a retry makes sense, at most 24 hours; None when nobody says.

    `Retry-After` counts for any status; reset headers, details of the error `body` and texts
    for 429 only: on other statuses they describe a limit that was not the cause.
    """
    found = _header_value(headers.get("retry-after"), now_ms)
    if found is None and status == 429:
        resets = (_header_value(headers.get(name), now_ms) for name in _RESET_HEADERS)
        known = [value for value in resets if value is not None]
        found = max(known) if known else _from_body(body, now_ms)
        if found is None:
            found = _from_text(message, now_ms)
    # Not a number compares as false; infinity is as good as any number over the limit.
    return int(min(found, MAX_HINT_MS)) if found is not None and found >= 0 else None


def _header_value(value: str | None, now_ms: int) -> float | None:
    if value is None:
        return None
    text = value.strip()
    try:
        number = float(text)
    except ValueError:
        return _durations(text) if _DURATION.match(text) else _date(text, now_ms)
    if number > _EPOCH_MS_ABOVE:
        return number - now_ms
    if number > _EPOCH_S_ABOVE:
        return number * 1000 - now_ms
    return number * 1000


def _date(text: str, now_ms: int) -> float | None:
    try:
        when = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000) - now_ms


def _durations(text: str) -> float:
    return sum(float(n) * _UNITS_MS[unit] for n, unit in _DURATION.findall(text))


def _from_body(body: bytes, now_ms: int) -> float | None:
    found = _RETRY_DELAY.search(body)
    return _header_value(found.group(1).decode(), now_ms) if found else None


def _from_text(message: str, now_ms: int) -> float | None:
    dated = _TEXT_DATE.search(message[:4096])
    if dated is not None:
        return _date(dated.group(1), now_ms)
    found = _TEXT.search(message[:4096])
    if found is None:
        return None
    amount = found.group(1).strip().lower()
    if re.fullmatch(r"\d+(?:\.\d+)?", amount):
        return float(amount) * 1000
    return _durations(re.sub(r"\s+", "", amount))
