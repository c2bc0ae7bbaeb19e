"""Requests that say they are the same: the second gets the answer of the first. 01 §4.8, 05 §6.3.

Kept by caller, path and key for a few seconds; only whole, successful answers are kept.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from omniroute.errors import IdempotencyMismatch
from omniroute.pipeline.exchange import ChatCall, WholeAnswer
from omniroute.pipeline.reuse.sharing import Sharing

MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    body_hash: bytes
    until_ms: int
    answer: WholeAnswer | None


@dataclass(slots=True)
class Idempotency:
    """Answers by key, in memory, and the requests under way that others repeat.

    `now_ms` is epoch milliseconds.
    """

    now_ms: Callable[[], int]
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)
    _sharing: Sharing[WholeAnswer] = field(default_factory=Sharing)

    @property
    def active(self) -> int:
        """Keys whose answers are kept right now."""
        self._expire()
        return sum(row.answer is not None for row in self._known.values())

    async def run(
        self, call: ChatCall, window_ms: int, work: Callable[[], Awaitable[WholeAnswer]]
    ) -> tuple[WholeAnswer, bool]:
        """The answer, and whether it is that of an earlier request.

        Raises:
            IdempotencyMismatch: the key was used for another body.
            OmniRouteError: what `work` raises; failures are not kept.
        """
        name = key_of(call)
        if name is None:
            return await work(), False
        self._expire()
        digest = hashlib.sha256(call.body or b"").digest()
        known = self._known.get(name)
        if known is not None and known.body_hash != digest:
            raise IdempotencyMismatch(
                "This Idempotency-Key was used for another request a moment ago. Use a new key for "
                "a new request."
            )
        if known is not None and known.answer is not None:
            return known.answer, True
        until_ms = self.now_ms() + 10 * 60_000  # while it is under way
        self._known[name] = _Known(digest, until_ms, None)
        try:
            answer, joined = await self._sharing.run(name, work)
        except BaseException:
            self._known.pop(name, None)
            raise
        if not joined:
            self._known[name] = _Known(digest, self.now_ms() + window_ms, answer)
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
        return answer, joined

    def clear(self) -> None:
        """Forget every answer."""
        self._known.clear()

    def _expire(self) -> None:
        now = self.now_ms()
        for name in [name for name, row in self._known.items() if row.until_ms <= now]:
            del self._known[name]


def key_of(call: ChatCall) -> str | None:
    """The name a client gives its request, kept apart by caller and path; None without one."""
    key = call.headers.get("idempotency-key", "").strip()
    return f"{call.caller.owner}\n{call.path}\n{key}" if key else None
