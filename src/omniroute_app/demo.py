"""`omniroute demo`: one request through each door of a running gateway, and what came of it."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from omniroute.errors import InvalidRequest

Say = Callable[[str], None]

MCP_VERSION = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": MCP_VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "omniroute-demo", "version": "1"},
}


async def demo(base_url: str, headers: Mapping[str, str], model: str, text: str, say: Say) -> None:
    """Send `text` through HTTP, MCP and A2A and print each answer with target, cost and reasons.

    Raises:
        InvalidRequest: no gateway answers at `base_url`, or a door refused.
    """
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=120) as client:
        try:
            for name, door in (("HTTP", _http), ("MCP", _mcp), ("A2A", _a2a)):
                answer, request_id = await door(client, model, text)
                say(f"{name:<5} {answer}")
                for line in await _reasons(client, request_id):
                    say(f"      {line}")
        except httpx.ConnectError as error:
            raise InvalidRequest(
                f"No gateway answers at {base_url}. Start one with: omniroute"
            ) from error


async def _http(client: httpx.AsyncClient, model: str, text: str) -> tuple[str, str]:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    response = await client.post("/v1/chat/completions", json=body)
    reply = _checked(response)
    return reply["choices"][0]["message"]["content"] or "", response.headers["x-request-id"]


async def _mcp(client: httpx.AsyncClient, model: str, text: str) -> tuple[str, str]:
    arguments = {"model": model, "messages": [{"role": "user", "content": text}]}
    params = {"name": "omniroute_route_request", "arguments": arguments, "_meta": _META}
    response = await client.post(
        "/api/mcp/stream",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        headers={
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": MCP_VERSION,
            "mcp-method": "tools/call",
            "mcp-name": "omniroute_route_request",
        },
    )
    result = _checked(response)["result"]
    if result.get("isError"):
        raise InvalidRequest(f"MCP: {result['content'][0]['text']}")
    found = result["structuredContent"]
    return found["response"]["content"], found["routing"]["requestId"]


async def _a2a(client: httpx.AsyncClient, model: str, text: str) -> tuple[str, str]:
    params = {"messages": [{"content": text}], "metadata": {"model": model}}
    response = await client.post(
        "/a2a", json={"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": params}
    )
    result = _checked(response)["result"]
    return result["artifacts"][0]["content"], result["metadata"]["request_id"]


async def _reasons(client: httpx.AsyncClient, request_id: str) -> list[str]:
    response = await client.get(f"/api/routes/{request_id}")
    text: str = _checked(response).get("text", "")
    return text.splitlines()


def _checked(response: httpx.Response) -> dict[str, Any]:
    """The JSON body of a good answer.

    Raises:
        InvalidRequest: the gateway refused; says what it said.
    """
    text = response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:"))
        body: dict[str, Any] = httpx.Response(200, text=text).json()
    else:
        body = response.json()
    if response.status_code >= 400 or "error" in body:
        error = body.get("error")
        told = error.get("message") if isinstance(error, dict) else error
        raise InvalidRequest(f"The gateway answered {response.status_code}: {told}")
    return body
