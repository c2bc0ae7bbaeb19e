"""What the demo upstream says of its quota: a pure function from a path and the time."""

import re
from typing import Any

from msgspec import Struct

from omniroute.clock import iso

_HOUR_MS = 3_600_000
_WINDOWS = {"session (5h)": 5 * _HOUR_MS, "weekly (7d)": 7 * 24 * _HOUR_MS}
_TOTAL = 1000


class QuotaScript(Struct, frozen=True, kw_only=True):
    """One answer: a status, its body, and how long it takes."""

    body: dict[str, Any]
    status: int = 200
    delay_s: float = 0.0


def quota_script(told: str, now_ms: int) -> QuotaScript:
    """The answer at `/quota/<told>`.

    `15` leaves 15 % of every window, `flaky-500` fails with that status, `slow-2000` takes that
    many milliseconds; nothing leaves 80 %.
    """
    found = re.fullmatch(r"(\d{1,2}|100)|flaky-(\d{3})|slow-(\d{1,6})|", told)
    if found is None:
        message = f"The demo upstream has no quota '{told}'."
        return QuotaScript(status=404, body={"error": {"message": message}})
    percent, status, slow_ms = found.groups()
    if status:
        message = f"scripted failure with status {status}"
        return QuotaScript(status=int(status), body={"error": {"message": message}})
    left = 80 if percent is None else int(percent)
    return QuotaScript(body=_report(left, now_ms), delay_s=int(slow_ms or 0) / 1000)


def _report(left: int, now_ms: int) -> dict[str, Any]:
    remaining = left * _TOTAL // 100
    windows = {
        name: {
            "used": _TOTAL - remaining,
            "total": _TOTAL,
            "remaining": remaining,
            "remainingPercentage": left,
            "resetAt": iso(now_ms - now_ms % length_ms + length_ms),
            "unlimited": False,
        }
        for name, length_ms in _WINDOWS.items()
    }
    return {"plan": "free", "quotas": windows, "message": None}
