"""How many tokens a request has: the provider's own count where it offers one, else an estimate."""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from omniroute.pipeline.attempt import Endpoint, Limits, forwarded
from omniroute.pipeline.estimate import input_tokens
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.snapshot import auth_headers, endpoint
from omniroute.upstream.send import OutboundRequest, TransportFailed

_COUNTED = ("messages", "system", "tools", "tool_choice", "thinking", "mcp_servers")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class TokenCount(Struct, frozen=True, kw_only=True):
    """A count and whose it is."""

    input_tokens: int
    source: Literal["provider", "estimated"]
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET


class _Counted(Struct):
    input_tokens: int


async def count_at(call: ChatCall, to: Endpoint, limits: Limits) -> TokenCount | None:
    """The provider's own count of a request in its dialect; None when it gives none."""
    provider = to.provider
    if provider.count_path is None or call.dialect is not provider.dialect or call.body is None:
        return None
    sent = _OBJECT.decode(call.body)
    body: dict[str, object] = {name: sent[name] for name in _COUNTED if name in sent}
    request = OutboundRequest(
        url=endpoint(provider, to.account, provider.count_path),
        headers={
            "content-type": "application/json",
            **auth_headers(provider, to.account),
            **forwarded(call.headers, provider, extended_context=to.candidate.extended_context),
        },
        body=msgspec.json.encode({"model": to.candidate.model, **body}),
        timeouts=limits.timeouts,
        allow_private=to.allow_private,
    )
    try:
        response = await to.sender.send(request)
        try:
            found = msgspec.json.decode(await response.read(), type=_Counted)
        finally:
            await response.aclose()
    except (TransportFailed, msgspec.MsgspecError):
        return None
    return TokenCount(
        input_tokens=found.input_tokens,
        source="provider",
        model=to.candidate.model,
        provider=provider.alias or provider.id,
    )


def estimated(call: ChatCall) -> TokenCount:
    """Characters / 4 over messages, system and tools."""
    return TokenCount(input_tokens=input_tokens(call.request), source="estimated")
