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
_RETRY_DELAY = re.compile(rb'"retryDelay"\s*:\s*"?([\w.]{1,32})')
# OpenAI and its kin, Anthropic, and what older services send: a reset and what is left until it.
_RESET = re.compile(
    r"x-ratelimit-reset(?P<openai>-[\w-]+)?|anthropic-ratelimit-(?P<anthropic>[\w-]+)-reset"
)
_TELLING = frozenset({402, 403, 429, 503, 529})
"""Statuses whose texts say when to come back."""


def retry_after_ms(
    status: int, headers: Mapping[str, str], message: str, now_ms: int, body: bytes = b""
) -> int | None:
    """Milliseconds until a retry makes sense, at most 24 hours; None when nobody says.

    `Retry-After` counts for any status, reset headers for 429 only: on other statuses they
    describe a limit that was not the cause. Details of the error `body` and texts count where a
    limit can be the cause.
    """
    found = _milliseconds(headers.get("retry-after-ms"))
    if found is None:
        found = _header_value(headers.get("retry-after"), now_ms)
    if found is None and status == 429:
        found = _from_resets(headers, now_ms)
    if found is None and status in _TELLING:
        found = _from_body(body, now_ms)
    if found is None and status in _TELLING:
        found = _from_text(message, now_ms)
    # Not a number compares as false; infinity is as good as any number over the limit.
    return int(min(found, MAX_HINT_MS)) if found is not None and found >= 0 else None


def header_delay_ms(value: str | None, now_ms: int) -> int | None:
    """Milliseconds until the time a reset header names, at most 24 hours; None for nonsense."""
    found = _header_value(value, now_ms)
    return int(min(found, MAX_HINT_MS)) if found is not None and found >= 0 else None


def _milliseconds(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _from_resets(headers: Mapping[str, str], now_ms: int) -> float | None:
    """The latest reset; of limits that are used up, where the service says which."""
    known: list[tuple[bool, float]] = []
    for name, value in headers.items():
        found = _RESET.fullmatch(name)
        reset = _header_value(value, now_ms) if found else None
        if found is None or reset is None or reset < 0:
            continue
        left = (
            f"anthropic-ratelimit-{found['anthropic']}-remaining"
            if found["anthropic"]
            else f"x-ratelimit-remaining{found['openai'] or ''}"
        )
        known.append((headers.get(left, "").strip() == "0", reset))
    used_up = [reset for empty, reset in known if empty]
    return max(used_up or [reset for _, reset in known], default=None)


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
