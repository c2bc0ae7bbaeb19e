"""A small OpenAI-compatible upstream on loopback, in process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class SmallUpstream:
    """What it was asked: paths with the credentials that came with them, over how many
    `connections`."""

    port: int = 0
    connections: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its base URL, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                    size = head.partition("content-length: ")[2].partition("\r\n")[0]
                    body = await reader.readexactly(int(size or 0))
                    path = head.split(" ", 2)[1]
                    key = head.partition("authorization: bearer ")[2].partition("\r\n")[0]
                    self.asked.append((path, key))
                    kind, told = answer(path, json.loads(body or b"{}"))
                    writer.write(
                        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                        f"Content-Length: {len(told)}\r\n\r\n".encode()
                        + told
                    )
                    await writer.drain()
        finally:  # also when it is cancelled
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def small_upstream() -> AsyncIterator[SmallUpstream]:
    """The upstream, listening; it says `Hello` to every chat, has one model, and sees everybody
    as 203.0.113.9."""
    made = SmallUpstream()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


def answer(path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    """The kind and the bytes of its answer."""
    if path.endswith("/ip"):
        return "application/json", b'{"ip":"203.0.113.9"}'
    if path.endswith("/models"):
        return "application/json", b'{"object":"list","data":[{"id":"m","object":"model"}]}'
    about = {"id": "c1", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if not body.get("stream"):
        message = {"role": "assistant", "content": "Hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**about, "object": "chat.completion", "choices": [choice], "usage": usage}
        return "application/json", json.dumps(whole).encode()
    deltas: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None},
        {"delta": {"content": "lo"}, "finish_reason": None},
        {"delta": {}, "finish_reason": "stop"},
    ]
    chunk = {**about, "object": "chat.completion.chunk"}
    events = [{**chunk, "choices": [{"index": 0, **one}]} for one in deltas]
    events.append({**chunk, "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode()
