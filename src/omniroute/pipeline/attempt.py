"""One attempt: a candidate becomes a request, its response is judged up to the first content."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from omniroute.catalog.provider import Provider
from omniroute.chat import ChatReply, Dialect, Event, Failed, collect
from omniroute.dialects import CODECS
from omniroute.dialects.adaptation import adapted
from omniroute.dialects.codec import MalformedReply, TargetFacts
from omniroute.dialects.raw_json import raw, raw_object
from omniroute.errors import InvalidRequest
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.flow import Flow, Reading
from omniroute.pipeline.inlining import inlined
from omniroute.routing.plan import Candidate
from omniroute.routing.retry_hints import retry_after_ms
from omniroute.routing.snapshot import endpoint
from omniroute.routing.verdicts import Cause, Failure
from omniroute.storage.records import Connection
from omniroute.upstream.aws.event_stream import EventStreamToSse
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.send import (
    OutboundRequest,
    OutboundResponse,
    Sender,
    Timeouts,
    TransportFailed,
)

OutT = TypeVar("OutT", bytes, list[Event])

MAX_ERROR_BODY_BYTES = 64 * 1024
_FORWARDED = ("anthropic-version", "anthropic-beta")


class AttemptFailed(Exception):
    """Nothing usable came of an attempt; `failure` says what, for the table of verdicts."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of an attempt. Seconds; `readiness_s` None waits as long as `timeouts` do."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    readiness_s: float | None = 80.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A candidate with everything needed to call it.

    `dialect` is one of those the provider speaks; `fetch` gets what a request only points at.
    """

    candidate: Candidate
    provider: Provider
    dialect: Dialect
    account: Connection
    sender: Sender
    fetch: Sender
    credentials: Credentials
    allow_private: bool


@dataclass(frozen=True, slots=True)
class Begun(Generic[OutT]):
    """A stream whose first content has arrived. `primed` is what came up to it."""

    response: OutboundResponse
    chunks: AsyncIterator[bytes]
    flow: Flow[OutT]
    primed: OutT


async def begin_stream(
    call: ChatCall, to: Endpoint, flow: Flow[OutT], limits: Limits, now_ms: int
) -> Begun[OutT]:
    """Send, and read until something useful has come. Nothing goes downstream before that.

    Raises:
        AttemptFailed: no useful event came.
    """
    try:
        async with asyncio.timeout(limits.readiness_s):
            response = await _send(call, to, limits.timeouts, now_ms, stream=True)
            try:
                return await _prime(response, flow, to.provider.framing)
            except BaseException:
                await response.aclose()
                raise
    except TimeoutError:
        raise _failed("stream_timeout", 504, "No useful event came in time") from None


async def fetch_whole(
    call: ChatCall, to: Endpoint, reading: Reading, limits: Limits, now_ms: int
) -> tuple[ChatReply, bytes]:
    """Send and read a whole reply: decoded, and as the bytes it came in.

    Raises:
        AttemptFailed: no reply, or one without content.
    """
    codec = CODECS[to.dialect]
    response = await _send(call, to, limits.timeouts, now_ms, stream=False)
    try:
        body = await response.read()
        events = codec.decode_reply(body, codec.tool_names(call.request))
        reply = collect(reading.told(events, reading.tags()))
    except TransportFailed as error:
        raise _transport_failure(error) from error
    except MalformedReply as error:
        raise _failed("malformed", 502, "The upstream's answer is not valid") from error
    finally:
        await response.aclose()
    if reply.failure is not None:
        raise _stream_failure(reply.failure)
    if not reply.parts and reply.finish in (None, "stop", "tool_calls"):
        raise _failed("empty", 502, "The upstream's answer has no content")
    return reply, body


async def _send(
    call: ChatCall, to: Endpoint, timeouts: Timeouts, now_ms: int, *, stream: bool
) -> OutboundResponse:
    try:
        call = await self_contained(call, to)
        request = await authorized(outbound(call, to, timeouts, stream=stream), to)
    except InvalidRequest as error:
        raise _failed("unsupported", 400, str(error)) from error
    except TransportFailed as error:
        raise _transport_failure(error) from error
    try:
        response = await to.sender.send(request)
    except TransportFailed as error:
        raise _transport_failure(error) from error
    if response.status != 200:
        try:
            raise await _status_failure(response, to, now_ms)
        finally:
            await response.aclose()
    return response


def outbound(call: ChatCall, to: Endpoint, timeouts: Timeouts, *, stream: bool) -> OutboundRequest:
    """The request for one candidate.

    Raises:
        InvalidRequest: the target's dialect cannot say it, or an account option is missing.
    """
    provider, account, model = to.provider, to.account, to.candidate.model
    codec = CODECS[to.dialect]
    facts = target_facts(provider, account, model, stream=stream)
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        **forwarded(call.headers, provider, extended_context=to.candidate.extended_context),
    }
    request = adapted(call.request, facts)
    if call.body is not None and call.native(to.dialect) and request is call.request:
        body = codec.patch_request(call.body, facts)
    else:
        body = codec.encode_request(request, facts)
    return OutboundRequest(
        url=endpoint(provider, account, chat_path(provider, to.dialect, stream=stream), model),
        headers=headers,
        body=shaped(body, provider),
        timeouts=timeouts,
        allow_private=to.allow_private,
    )


async def authorized(request: OutboundRequest, to: Endpoint) -> OutboundRequest:
    """The request with the account's credentials.

    Raises:
        InvalidRequest: they are not of the kind the provider takes.
        TransportFailed: a token could not be fetched.
    """
    account = to.account
    return await to.credentials.authorized(to.provider, account.api_key, account.options, request)


def shaped(body: bytes, provider: Provider) -> bytes:
    """A body as services want it that have model and streaming in the path."""
    if provider.body_model and not provider.body_fields:
        return body
    fields = raw_object(body)
    if not provider.body_model:
        fields.pop("model", None)
        fields.pop("stream", None)
    added = {name: raw(value) for name, value in provider.body_fields.items()}
    return bytes(raw({**added, **fields}))


async def self_contained(call: ChatCall, to: Endpoint) -> ChatCall:
    """The call with everything it points at fetched, where the target cannot fetch it itself.

    Raises:
        InvalidRequest: something could not be fetched.
    """
    if CODECS[to.dialect].carries_addresses or call.native(to.dialect):
        return call
    return replace(call, request=await inlined(call.request, to.fetch))


def chat_path(provider: Provider, dialect: Dialect, *, stream: bool) -> str:
    """Where a provider answers chats of a dialect it speaks."""
    if dialect is not provider.dialect:
        return provider.also[dialect]
    return (provider.stream_path if stream else None) or provider.chat_path


def target_facts(
    provider: Provider, account: Connection, model: str, *, stream: bool
) -> TargetFacts:
    """What an encoder must know about a candidate, from the provider's row and the account."""
    return TargetFacts(
        model=model,
        stream=stream,
        stream_usage=provider.stream_usage and not account.options.get("disableStreamOptions"),
        max_completion_tokens=_begins(model, provider.completion_limit_prefixes),
        developer_role=provider.developer_role,
        system_role=not _begins(model, provider.no_system_prefixes),
        fixed_sampling=_begins(model, provider.fixed_sampling_prefixes),
        adaptive_thinking=_begins(model, provider.adaptive_prefixes),
        structured_output=_begins(model, provider.structured_prefixes),
        thinking_levels=_begins(model, provider.thinking_level_prefixes),
        call_id_chars=provider.call_id_chars,
        reasoning_history=provider.reasoning_history,
    )


def _begins(model: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a model is of a family; vendors and regions may stand before its name."""
    name = model.lower().rpartition("/")[2].rpartition("anthropic.")[2]
    return name.startswith(prefixes) if prefixes else False


def tags_thinking(provider: Provider, model: str) -> bool:
    """Whether a model's thinking stands between tags in its text."""
    return _begins(model, provider.think_tag_prefixes)


def forwarded(
    headers: Mapping[str, str], provider: Provider, *, extended_context: bool
) -> dict[str, str]:
    """The client's dialect headers, which mean something only to a service of that dialect."""
    if "anthropic-version" not in provider.headers:
        return {}
    kept = {name: headers[name] for name in _FORWARDED if name in headers}
    if extended_context:
        betas = [kept["anthropic-beta"]] if "anthropic-beta" in kept else []
        kept["anthropic-beta"] = ",".join([*betas, "context-1m-2025-08-07"])
    return kept


async def _reframed(response: OutboundResponse) -> AsyncIterator[bytes]:
    """Server-sent events out of Amazon's binary stream."""
    events = EventStreamToSse()
    async for chunk in response.chunks():
        given = events.feed(chunk)
        if given:
            yield given


async def _prime(response: OutboundResponse, flow: Flow[OutT], framing: str) -> Begun[OutT]:
    chunks = response.chunks() if framing == "native" else _reframed(response)
    primed = flow.feed(b"")
    try:
        async for chunk in chunks:
            primed = primed + flow.feed(chunk)
            if flow.content or flow.failure is not None or flow.done:
                break
        else:
            primed = primed + flow.flush()
    except TransportFailed as error:
        raise _transport_failure(error) from error
    except MalformedReply as error:
        raise _failed("malformed", 502, "The upstream's stream is not valid") from error
    if not flow.content:
        if flow.failure is not None:
            raise _stream_failure(flow.failure)
        if flow.finished:
            raise _failed("empty", 502, "The upstream's answer has no content")
        raise _failed("early_eof", 502, "The upstream's stream ended before any content")
    return Begun(response, chunks, flow, primed)


async def _status_failure(response: OutboundResponse, to: Endpoint, now_ms: int) -> AttemptFailed:
    body = b""
    try:
        async for chunk in response.chunks():
            body += chunk
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
    except TransportFailed:
        pass  # the status alone says enough
    status = response.status if response.status >= 400 else 502
    facts = CODECS[to.dialect].decode_error(status, body[:MAX_ERROR_BODY_BYTES])
    hint = retry_after_ms(status, response.headers, facts.message, now_ms, body)
    return AttemptFailed(
        Failure(
            cause="status",
            status=status,
            text=facts.message,
            error_type=facts.type,
            code=facts.code,
            retry_after_ms=hint,
        )
    )


def _stream_failure(failed: Failed) -> AttemptFailed:
    return AttemptFailed(
        Failure(
            cause="stream_error",
            status=failed.status,
            text=failed.message,
            error_type=failed.error_type,
            code=failed.code,
        )
    )


def _transport_failure(error: TransportFailed) -> AttemptFailed:
    return _failed(error.kind, 504 if error.kind == "timeout" else 502, str(error))


def _failed(cause: Cause, status: int, text: str) -> AttemptFailed:
    return AttemptFailed(Failure(cause=cause, status=status, text=text))
