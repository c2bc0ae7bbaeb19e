"""A server of public price lists on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

PRICES = {
    "gpt-4o-mini": {
        "litellm_provider": "openai",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
    },
    "brand-new": {"litellm_provider": "openai", "input_cost_per_token": 5e-06},
    "broken": {"litellm_provider": "openai", "input_cost_per_token": "?"},
    "foreign": {"litellm_provider": "nobody", "input_cost_per_token": 5e-06},
}
LITELLM = json.dumps(PRICES).encode()
MODELS_DEV = json.dumps(
    {"openai": {"models": {"gpt-4o-mini": {"cost": {"input": 7, "output": 8}}}}}
).encode()


@dataclass
class Lists:
    """A server of price lists: what it answers by path, and what it was asked for."""

    port: int = 0
    answers: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PRICING_SYNC_LITELLM_URL": f"http://127.0.0.1:{self.port}/litellm",
            "PRICING_SYNC_MODELS_DEV_URL": f"http://127.0.0.1:{self.port}/models-dev",
        }


@asynccontextmanager
async def served() -> AsyncIterator[Lists]:
    lists = Lists(answers={"/litellm": ("200 OK", LITELLM), "/models-dev": ("200 OK", MODELS_DEV)})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        lists.asked.append(path)
        status, body = lists.answers[path]
        more = f"content-length: {len(body)}\r\nlocation: /models-dev\r\nconnection: close"
        writer.write(f"HTTP/1.1 {status}\r\n{more}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    lists.port = server.sockets[0].getsockname()[1]
    try:
        with anyio.fail_after(20):
            yield lists
    finally:
        server.close()
