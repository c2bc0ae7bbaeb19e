"""A receiver of webhooks on loopback, in process, that answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Receiver:
    """What it was told: headers (lower-case) and bodies. `statuses` are the next answers, 200
    when there are none left; a status of 0 hangs up."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where messages go."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def bodies(self) -> list[Any]:
        """What was told, parsed."""
        return [json.loads(body) for _, body in self.heard]

    async def until(self, count: int) -> None:
        """Wait for that many messages."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.heard) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer(reader, writer):
                    pass
        finally:  # also when it is cancelled
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        status = self.statuses.pop(0) if self.statuses else 200
        if status:
            writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        async with self.arrived:
            self.heard.append((headers, body))
            self.arrived.notify_all()
        return bool(status)


@asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    """The receiver, listening."""
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
