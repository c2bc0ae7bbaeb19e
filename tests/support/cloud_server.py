"""A cloud server on loopback, in process: what gateways push their configuration to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request: its key, and its JSON body."""

    method: str
    path: str
    key: str
    body: Any


@dataclass
class Cloud:
    """What it was asked, and what it answers by method: a status and a JSON body, the last of a
    list again and again. `pushed` is set with every push."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    pushed: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pushes(self) -> list[Any]:
        """The bodies that were pushed."""
        return [one.body for one in self.asked if one.method == "POST"]

    def count(self, method: str) -> int:
        """How often it was asked with a method."""
        return sum(one.method == method for one in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        parts = (line.partition(":") for line in head.splitlines()[1:])
        fields = {name.lower(): value.strip() for name, _, value in parts}
        data = await reader.readexactly(int(fields.get("content-length", "0")))
        method, path, _ = head.split(" ", 2)
        key = fields.get("authorization", "").removeprefix("Bearer ")
        self.asked.append(Asked(method, path, key, json.loads(data or b"null")))
        status, body = self._answer(method)
        told = json.dumps(body).encode()
        writer.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(told)}\r\n\r\n".encode()
            + told
        )
        await writer.drain()
        if method == "POST":
            self.pushed.set()

    def _answer(self, method: str) -> tuple[int, Any]:
        told = self.answers.get(method, [(200, {})])
        return told.pop(0) if len(told) > 1 else told[0]


@asynccontextmanager
async def cloud_server() -> AsyncIterator[Cloud]:
    """The server, listening on a free port; it says yes to everything."""
    made = Cloud()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
