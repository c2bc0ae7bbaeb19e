"""Pictures and files a request only points at, fetched for targets that cannot fetch them."""

import base64
from collections.abc import Callable

import anyio
import msgspec

from omniroute.chat import ChatRequest, File, Image, Message, Part, ToolResult
from omniroute.errors import InvalidRequest
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, Timeouts, TransportFailed

MAX_BYTES = 20 * 1024 * 1024
TIMEOUTS = Timeouts(connect_s=10.0, headers_s=20.0, idle_s=20.0)


async def inlined(
    request: ChatRequest, fetch: Sender, via: Callable[[str], Via | None]
) -> ChatRequest:
    """The request with every http(s) address replaced by what is there.

    The addresses are the client's, so private ones are refused whatever the operator allows for
    upstreams.

    Args:
        via: the proxy for an address: that of the account the request is sent to.

    Raises:
        InvalidRequest: an address cannot be fetched, or holds too much.
    """
    addresses = {
        part.url
        for message in request.messages
        for part in _all_parts(message.parts)
        if isinstance(part, Image | File) and part.url and _remote(part.url)
    }
    if not addresses:
        return request
    found: dict[str, tuple[str, str]] = {}

    async def get(address: str) -> None:
        found[address] = await _get(address, fetch, via(address))

    try:
        async with anyio.create_task_group() as group:
            for address in sorted(addresses):
                group.start_soon(get, address)
    except* InvalidRequest as failed:
        raise failed.exceptions[0] from None
    messages = tuple(_filled(message, found) for message in request.messages)
    return msgspec.structs.replace(request, messages=messages)


def _remote(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _all_parts(parts: tuple[Part, ...]) -> list[Part]:
    inner = [one for part in parts if isinstance(part, ToolResult) for one in part.parts]
    return [*parts, *inner]


def _filled(message: Message, found: dict[str, tuple[str, str]]) -> Message:
    return msgspec.structs.replace(
        message, parts=tuple(_part(part, found) for part in message.parts)
    )


def _part(part: Part, found: dict[str, tuple[str, str]]) -> Part:
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, parts=tuple(_part(p, found) for p in part.parts))
    if isinstance(part, Image | File) and part.url in found:
        media_type, data = found[part.url]
        return msgspec.structs.replace(part, url=None, data=data, media_type=media_type)
    return part


async def _get(address: str, fetch: Sender, via: Via | None) -> tuple[str, str]:
    request = OutboundRequest(url=address, headers={}, method="GET", timeouts=TIMEOUTS, via=via)
    try:
        response = await fetch.send(request)
        try:
            if response.status != 200:
                raise _unfetched(f"it answered with status {response.status}")
            content = bytearray()
            async for chunk in response.chunks():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise _unfetched(f"it holds more than {MAX_BYTES // 1024**2} MiB")
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
        finally:
            await response.aclose()
    except TransportFailed as error:
        raise _unfetched(str(error)) from error
    return media_type or "application/octet-stream", base64.b64encode(content).decode()


def _unfetched(reason: str) -> InvalidRequest:
    # Not the address: error texts end up in logs, and addresses may hold tokens.
    message = (
        f"A picture or file could not be fetched by its address: {reason}. Send its data instead."
    )
    return InvalidRequest(message, param="messages")
