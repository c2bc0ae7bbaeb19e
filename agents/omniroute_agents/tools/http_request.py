"""Asks a server on the public internet, through the outbound gate. Source: 02 §24.6."""

import asyncio
import base64
import codecs
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from omniroute.operations.inputs import convert_input
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed
from omniroute_agents.tools.schemas import flat_schema

DROPPED = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "cookie",
        "set-cookie",
        "authorization",
        "proxy-authorization",
    }
)
"""Headers that are neither sent nor shown: they are the connection's, or somebody's credentials."""


class Wanted(Struct, frozen=True, rename="camel"):
    """What is asked. `max_bytes` of the body are read, no redirect is followed."""

    url: Annotated[str, Meta(min_length=1, max_length=8_000)]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Annotated[dict[str, str], Meta(max_length=100)] = {}
    body: str | None = None
    timeout_ms: Annotated[int, Meta(ge=1, le=60_000)] = 10_000
    max_bytes: Annotated[int, Meta(ge=1)] | None = None


class Answer(Struct, frozen=True):
    """What the server said. A body that is not UTF-8 is in base64; `truncated` says that there
    was more of it."""

    status: int
    headers: dict[str, str]
    encoding: Literal["utf8", "base64"]
    body: str
    truncated: bool


def tool(
    gate: Sender,
    via: Callable[[str], Via | None],
    max_response_bytes: int,
    *,
    allow_private: bool = False,
) -> ToolHandler:
    """The tool over a gate. Only tests ask servers on private addresses."""

    async def run(call: ToolCall) -> Any:
        wanted = convert_input(Wanted, dict(call.arguments))
        _require_plain(wanted.url)
        seconds = wanted.timeout_ms / 1000
        request = OutboundRequest(
            url=wanted.url,
            method=wanted.method,
            headers=_allowed(wanted.headers),
            body=None if wanted.body is None else wanted.body.encode("utf-8", "replace"),
            timeouts=Timeouts(connect_s=seconds, headers_s=seconds, idle_s=seconds),
            allow_private=allow_private,
            via=via(wanted.url),
        )
        most = min(wanted.max_bytes or max_response_bytes, max_response_bytes)
        try:
            async with asyncio.timeout(seconds):
                return await _answer(gate, request, most)
        except TimeoutError as error:
            raise ToolFailed(f"No whole answer came within {wanted.timeout_ms} ms.") from error
        except TransportFailed as error:
            told = str(error).replace("upstream", "server")
            raise ToolFailed(f"{told}. Only public http and https addresses are asked.") from error

    return ToolHandler(
        name="http_request",
        description="Ask a server on the public internet over HTTP; redirects are not followed.",
        tags=("http", "web"),
        input_schema=flat_schema(Wanted),
        output_schema=flat_schema(Answer),
        run=run,
    )


async def _answer(gate: Sender, request: OutboundRequest, most: int) -> Answer:
    response = await gate.send(request)
    body = b""
    try:
        if request.method != "HEAD":
            async for chunk in response.chunks():
                body += chunk
                if len(body) > most:
                    break
    finally:
        await response.aclose()
    text = _text(body[:most], whole=len(body) <= most)
    return Answer(
        status=response.status,
        headers=_allowed(response.headers),
        encoding="base64" if text is None else "utf8",
        body=base64.b64encode(body[:most]).decode() if text is None else text,
        truncated=len(body) > most,
    )


def _text(body: bytes, *, whole: bool) -> str | None:
    """A body as text, without the half of a character at its end where it is cut; None where it
    is none."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=whole)
    except UnicodeDecodeError:
        return None


def _require_plain(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise ToolFailed("The address is not a valid URL.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ToolFailed("The address must begin with http:// or https://.")
    if "@" in parts.netloc:
        raise ToolFailed("The address must not have credentials in it.")


def _allowed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.strip().lower() not in DROPPED}
