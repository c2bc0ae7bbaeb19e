"""One attempt: a request is sent, its response is judged up to the first content."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from omniroute.chat import ChatReply, Event, Failed, collect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import MalformedReply
from omniroute.errors import InvalidRequest
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.flow import Flow, Reading
from omniroute.pipeline.outbound import Endpoint, authorized, outbound, self_contained
from omniroute.routing.retry_hints import retry_after_ms
from omniroute.routing.verdicts import Cause, Failure
from omniroute.upstream.aws.event_stream import EventStreamToSse
from omniroute.upstream.send import (
    OutboundResponse,
    Timeouts,
    TransportFailed,
)

OutT = TypeVar("OutT", bytes, list[Event])

MAX_ERROR_BODY_BYTES = 64 * 1024


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
