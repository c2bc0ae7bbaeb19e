"""How many tokens a request has: the provider's own count where it offers one, else our own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.raw_json import RawObject, raw, raw_object
from omniroute.errors import InvalidRequest
from omniroute.pipeline.attempt import Limits
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.outbound import Endpoint, authorized, forwarded, target_facts
from omniroute.pipeline.tokens.tokenizer import counted_tokens
from omniroute.routing.snapshot import endpoint
from omniroute.upstream.send import OutboundRequest, TransportFailed

_READ_BY_ANTHROPIC = ("messages", "system", "tools", "tool_choice", "thinking", "mcp_servers")
_READ_BY_OPENAI = (
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "parallel_tool_calls",
    "truncation",
)


class TokenCount(Struct, frozen=True, kw_only=True):
    """A count and whose it is."""

    input_tokens: int
    source: Literal["provider", "estimated"]
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET


class _Counted(Struct):
    """Either of the names a count goes by."""

    input_tokens: int | None = None
    total_tokens: int | None = msgspec.field(default=None, name="totalTokens")


def _of_anthropic(fields: RawObject, model: str) -> dict[str, Raw]:
    return {"model": raw(model), **_only(fields, _READ_BY_ANTHROPIC)}


def _of_openai(fields: RawObject, model: str) -> dict[str, Raw]:
    return {"model": raw(model), **_only(fields, _READ_BY_OPENAI)}


def _only(fields: RawObject, names: Sequence[str]) -> dict[str, Raw]:
    return {name: fields[name] for name in names if name in fields}


def _of_gemini(fields: RawObject, model: str) -> dict[str, Raw]:
    inner = raw_object(fields["generateContentRequest"]) if _WRAPPED in fields else fields
    return {_WRAPPED: raw({"model": f"models/{model}", **inner})}


_WRAPPED = "generateContentRequest"

COUNT_BODIES: Mapping[Dialect, Callable[[RawObject, str], dict[str, Raw]]] = {
    Dialect.ANTHROPIC: _of_anthropic,
    Dialect.GEMINI: _of_gemini,
    Dialect.OPENAI_RESPONSES: _of_openai,
}
"""What a service that counts is sent, made of what one that answers would be sent."""


async def count_at(call: ChatCall, to: Endpoint, limits: Limits) -> TokenCount | None:
    """The provider's own count of a request in its dialect; None when it gives none."""
    provider, model = to.provider, to.candidate.model
    dialect = provider.count_dialect or to.dialect
    wanted = COUNT_BODIES.get(dialect)
    if provider.count_path is None or wanted is None:
        return None
    facts = target_facts(provider, to.account, model, stream=False)
    try:
        native = call.body is not None and call.native(dialect)
        body = call.body if native else CODECS[dialect].encode_request(call.request, facts)
        url = endpoint(provider, to.account, provider.count_path, model)
        request = OutboundRequest(
            url=url,
            headers={
                "content-type": "application/json",
                **forwarded(call.headers, provider, extended_context=False),
            },
            body=msgspec.json.encode(wanted(raw_object(body or b"{}"), model)),
            timeouts=limits.timeouts,
            allow_private=to.allow_private,
            via=to.route.to(url),
        )
        response = await to.sender.send(await authorized(request, to))
        try:
            found = msgspec.json.decode(await response.read(), type=_Counted)
        finally:
            await response.aclose()
    except (TransportFailed, InvalidRequest, msgspec.MsgspecError):
        return None
    count = found.input_tokens if found.input_tokens is not None else found.total_tokens
    if count is None:
        return None
    return TokenCount(
        input_tokens=count,
        source="provider",
        model=model,
        provider=provider.alias or provider.id,
    )


async def estimated(call: ChatCall) -> TokenCount:
    """Our own count, off the event loop: long texts take a while."""
    count = await asyncio.to_thread(counted_tokens, call.request)
    return TokenCount(input_tokens=count, source="estimated")
