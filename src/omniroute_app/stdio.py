"""`omniroute mcp`: the MCP door on standard input and output.

While a gateway runs on this data directory its engine answers, so that limits, health and ledger
are one; otherwise an engine of our own does.
"""

import gc
import os
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from omniroute import __version__
from omniroute_app.asgi import mcp_policy
from omniroute_app.running import running_gateway
from omniroute_app.settings import Settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.door import run_stdio
from omniroute_mcp.transports import STREAM_PATH

Context = ServerRequestContext[Any, Any]


async def serve_stdio(settings: Settings) -> None:
    """Serve one client until it closes its end.

    Raises:
        OmniRouteError: the data directory or the database cannot be used.
    """
    gc.freeze()
    gc.enable()
    url = settings.base_url or running_gateway(settings.data_dir)
    if url is not None:
        await _relay(url.rstrip("/"), settings.api_key)
        return
    async with open_engine(settings, os.environ) as engine:
        await run_stdio(engine, mcp_policy(settings), settings.data_dir)


async def _relay(url: str, key: str | None) -> None:
    """Hand every list and call to the running gateway."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=None)) as http,
        Client(streamable_http_client(url + STREAM_PATH, http_client=http)) as gateway,
        stdio_server() as (incoming, outgoing),
    ):

        async def list_tools(
            _context: Context, params: types.PaginatedRequestParams | None
        ) -> types.ListToolsResult:
            return await gateway.list_tools(cursor=params.cursor if params else None)

        async def call_tool(
            context: Context, params: types.CallToolRequestParams
        ) -> types.CallToolResult:
            return await gateway.call_tool(
                params.name,
                params.arguments,
                progress_callback=context.session.report_progress,
            )

        server = Server(
            "omniroute", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool
        )
        await server.run(incoming, outgoing, server.create_initialization_options())
