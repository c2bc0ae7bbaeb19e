"""The bare pass-through: what the same stack costs when nothing happens in between."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

Message = dict[str, Any]

UPSTREAM = os.environ.get("UPSTREAM", "")
_sessions: list[aiohttp.ClientSession] = []


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Forward every POST and relay what comes back as it comes."""
    if scope["type"] != "http":
        return
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {"content-type": "application/json"}
    async with _sessions[0].post(UPSTREAM + scope["path"], data=body, headers=headers) as answer:
        kind = answer.headers.get("content-type", "application/json").encode()
        start = {"type": "http.response.start", "status": answer.status}
        await send({**start, "headers": [(b"content-type", kind)]})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
