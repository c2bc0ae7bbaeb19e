"""A mock upstream and a load generator on bare asyncio protocols: never the slow part."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "mock",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
).encode()
CHUNKS = 100


def _frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock"}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


def _chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    + str(len(REPLY)).encode()
    + b"\r\n\r\n"
    + REPLY
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM = [_chunked(_frame({"content": f"word{n} "})) for n in range(CHUNKS)] + [
    _chunked(_frame({}, "stop")) + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
]


class Upstream(asyncio.Protocol):
    """Answers every POST: whole at once, or as a stream of one write per chunk."""

    def __init__(self) -> None:
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self._seen = b""
        if b'"stream":true' in body.replace(b": ", b":"):
            self._streaming = asyncio.ensure_future(self._stream())
        else:
            self._transport.write(_WHOLE)

    async def _stream(self) -> None:
        self._transport.write(_STREAM_HEAD)
        for piece in _STREAM:
            if self._transport.is_closing():
                return
            self._transport.write(piece)
            await asyncio.sleep(0)


class _Caller(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it has its answer."""

    def __init__(self, request: bytes, counted: Callable[[float], None]) -> None:
        self._request = request
        self._counted = counted
        self._seen = b""
        self._asked = 0.0
        self.stopped = False
        self.failed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        if b"content-length:" in lowered:
            length = int(lowered.split(b"content-length:")[1].split(b"\r\n")[0])
            done = len(body) >= length
        else:
            done = body.endswith(b"0\r\n\r\n")
        if done:
            self.failed = self.failed or not head.startswith(b"HTTP/1.1 200")
            self._counted(time.perf_counter() - self._asked)
            self._seen = b""
            if not self.stopped:
                self._ask()


async def load(
    host: str, port: int, request: bytes, callers: int, seconds: float
) -> tuple[int, list[float], bool]:
    """Keep `callers` connections busy: answers, latencies in seconds, whether all were 200."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: _Caller(request, latencies.append), host, port))
        for _ in range(callers)
    ]
    await asyncio.sleep(seconds)
    for transport, protocol in made:
        protocol.stopped = True
        transport.abort()
    await asyncio.sleep(0.05)  # an abort takes a turn of the loop
    return len(latencies), latencies, not any(protocol.failed for _, protocol in made)
