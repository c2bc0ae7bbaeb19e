"""What is sent beside an answer while it streams: signs of life, and how far it is. 01 §4.5."""

import asyncio
from collections.abc import Mapping

import msgspec
from litestar.types import Send

PROGRESS_EVERY_S = 2.0


class Keepalive:
    """Says nothing, audibly, whenever a stream has been silent for `every_s` seconds.

    One timer per stream and no task while data flows: a sent chunk only notes the time.
    """

    def __init__(self, send: Send, frame: bytes, every_s: float | None) -> None:
        self._send = send
        self._frame = frame
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._sending: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(every_s, self._due) if every_s else None

    def touch(self) -> None:
        """Data has just been sent."""
        self._last = self._loop.time()

    def stop(self) -> None:
        """The stream has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _due(self) -> None:
        if self._every_s is None:
            return
        silent_s = self._loop.time() - self._last
        if silent_s >= self._every_s:
            self._sending = self._loop.create_task(self._beat())
            self._last, silent_s = self._loop.time(), 0.0
        self._timer = self._loop.call_later(self._every_s - silent_s, self._due)

    async def _beat(self) -> None:
        await self._send({"type": "http.response.body", "body": self._frame, "more_body": True})


def wants_progress(headers: Mapping[str, str]) -> bool:
    """Whether a client asked to be told how far its answer is."""
    return headers.get("x-omniroute-progress") == "true"


class Progress:
    """Says every two seconds how much of an answer has been sent, as an event of its own."""

    def __init__(self, send: Send, every_s: float = PROGRESS_EVERY_S) -> None:
        self._send = send
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._lines = 0
        self._sending: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(every_s, self._due)

    def count(self, output: bytes) -> None:
        """These frames have just been sent."""
        self._lines += output.count(b"\ndata:") + output.startswith(b"data:")

    def frame(self, *, done: bool = False) -> bytes:
        """How far it is; tokens are taken to be as many as lines of data."""
        elapsed_ms = int((self._loop.time() - self._started) * 1000)
        told = {"tokens_generated": self._lines, "elapsed_ms": elapsed_ms}
        data = msgspec.json.encode({**told, "done": True} if done else told)
        return b"event: progress\ndata: " + data + b"\n\n"

    def stop(self) -> None:
        """The stream has ended."""
        self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _due(self) -> None:
        self._sending = self._loop.create_task(self._beat())
        self._timer = self._loop.call_later(self._every_s, self._due)

    async def _beat(self) -> None:
        await self._send({"type": "http.response.body", "body": self.frame(), "more_body": True})
