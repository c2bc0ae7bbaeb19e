"""How long a client waits for its answer, as it says in its headers."""

import math
from collections.abc import Mapping

from omniroute.errors import InvalidRequest

OURS = "x-omniroute-timeout-ms"
_OF_CLIENTS = ("x-stainless-timeout", "x-stainless-read-timeout", "request-timeout")
"""What SDKs and proxies send on their own, in seconds; the shortest counts."""

_LONGEST_MS = 24 * 60 * 60 * 1000


def deadline_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """When the client stops waiting, epoch ms; None when it does not say.

    Raises:
        InvalidRequest: our own header holds no time.
    """
    told = headers.get(OURS)
    if told is not None:
        wait_ms = _positive(told)
        if wait_ms is None:
            raise InvalidRequest(
                "X-OmniRoute-Timeout-Ms must be a number of milliseconds over 0.", param=OURS
            )
        return now_ms + int(min(wait_ms, _LONGEST_MS))
    found = (_positive(headers.get(name, "")) for name in _OF_CLIENTS)
    known = [seconds * 1000 for seconds in found if seconds is not None]
    return now_ms + int(min(*known, _LONGEST_MS)) if known else None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number > 0 and not math.isnan(number) else None
