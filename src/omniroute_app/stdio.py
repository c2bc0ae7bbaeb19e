"""`omniroute mcp`: the MCP door on standard input and output.

While a gateway runs on this data directory its engine answers, so that limits, health and ledger
are one; otherwise an engine of our own does.
"""

import gc
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import msgspec
from mcp.client.sse import sse_client
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from omniroute import __version__
from omniroute.clock import now_ms
from omniroute.errors import Forbidden
from omniroute_app.mcp_side import agent_card_of, mcp_policy
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.door import first_beat, run_stdio
from omniroute_mcp.heartbeat import beating, heartbeat_path
from omniroute_mcp.transports import SSE_PATH

CONNECT_S = 30.0
SILENT_S = 60.0
"""How long nothing may come from a gateway, which writes a comment every 15 seconds."""


async def serve_stdio(settings: Settings) -> None:
    """Serve one client until it closes its end.

    Raises:
        OmniRouteError: the data directory or the database cannot be used.
    """
    gc.freeze()
    gc.enable()
    url = settings.base_url or running_gateway(settings.data_dir)
    if url is not None and await _relayed(url.rstrip("/"), settings):
        return
    async with open_engine(settings, os.environ) as engine:
        card = agent_card_of(engine, settings)
        await run_stdio(engine, mcp_policy(settings), settings.data_dir, card)


async def _relayed(url: str, settings: Settings) -> bool:
    """Hand every message to the running gateway and back, whatever it is and of which era.

    False where the gateway leaves stdio to us.

    Raises:
        Forbidden: the gateway does not let us in; the message says why.
    """
    key = settings.api_key
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if not await _lets_in(url + SSE_PATH, headers):
        return False
    first = first_beat(__version__, mcp_policy(settings), now_ms())
    async with (
        sse_client(url + SSE_PATH, headers, CONNECT_S, SILENT_S) as (from_gateway, to_gateway),
        stdio_server() as (from_client, to_client),
        beating(heartbeat_path(settings.data_dir), first),
        anyio.create_task_group() as group,
    ):
        group.start_soon(_pump, from_gateway, to_client, group.cancel_scope)
        await _pump(from_client, to_gateway, group.cancel_scope)
    return True


async def _lets_in(url: str, headers: dict[str, str]) -> bool:
    """Whether the gateway relays for us; it does not while its setting mcpTransport is stdio."""
    async with (
        httpx2.AsyncClient(timeout=CONNECT_S) as http,
        http.stream("GET", url, headers=headers) as answer,
    ):
        if answer.status_code in (200, 400):
            return answer.status_code == 200
        told = msgspec.json.decode(await answer.aread(), type=dict[str, str])
        raise Forbidden(told.get("error_description") or told["error"])


async def _pump(source: AsyncIterator[Any], target: Any, ended: anyio.CancelScope) -> None:
    """Pass messages on until one side is closed, which ends the other."""
    async for message in source:
        if isinstance(message, Exception):  # a line that is no message; the other side goes on
            print(f"omniroute mcp: {message}", file=sys.stderr)
        else:
            await target.send(SessionMessage(message.message))
    ended.cancel()
