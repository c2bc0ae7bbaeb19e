"""One attempt: a request is sent, its response is judged up to the first content."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from omniroute.chat import ChatReply, Event, Failed, collect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import MalformedReply
from omniroute.errors import InvalidRequest
from omniroute.pipeline.accounts.logins import LoginFailed
from omniroute.pipeline.accounts.slots import Busy
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.outbound import Endpoint, authorized, outbound, self_contained
from omniroute.pipeline.streams.flow import Flow, Reading
from omniroute.pipeline.streams.readiness import readiness_s
from omniroute.routing.resilience.retry_hints import retry_after_ms
from omniroute.routing.resilience.verdicts import Cause, Failure
from omniroute.upstream.aws.event_stream import EventStreamToSse
from omniroute.upstream.send import (
    OutboundRequest,
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
    async with _in_time(call, now_ms):
        return await _begin(call, to, flow, limits, now_ms)


async def _begin(
    call: ChatCall, to: Endpoint, flow: Flow[OutT], limits: Limits, now_ms: int
) -> Begun[OutT]:
    leave = await _entered(call, to, now_ms)
    try:
        async with asyncio.timeout(readiness_s(limits.readiness_s, call)):
            response = await _send(call, to, limits.timeouts, now_ms, leave, stream=True)
            try:
                return await _prime(response, flow, to.provider.framing)
            except BaseException:
                await response.aclose()
                raise
    except TimeoutError:
        leave()
        raise _failed("stream_timeout", 504, "No useful event came in time") from None
    except BaseException:
        leave()
        raise


async def fetch_whole(
    call: ChatCall, to: Endpoint, reading: Reading, limits: Limits, now_ms: int
) -> tuple[ChatReply, bytes]:
    """Send and read a whole reply: decoded, and as the bytes it came in.

    Raises:
        AttemptFailed: no reply, or one without content.
    """
    async with _in_time(call, now_ms):
        return await _fetch(call, to, reading, limits, now_ms)


async def _fetch(
    call: ChatCall, to: Endpoint, reading: Reading, limits: Limits, now_ms: int
) -> tuple[ChatReply, bytes]:
    codec = CODECS[to.dialect]
    leave = await _entered(call, to, now_ms)
    try:
        response = await _send(call, to, limits.timeouts, now_ms, leave, stream=False)
    except BaseException:
        leave()
        raise
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


class Held:
    """A response whose account keeps a slot taken until it is closed."""

    def __init__(self, response: OutboundResponse, leave: Callable[[], None]) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._leave = leave

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        return self._response.chunks()

    async def read(self) -> bytes:
        """The whole body."""
        return await self._response.read()

    async def aclose(self) -> None:
        """Hang up, and let the next request in."""
        try:
            await self._response.aclose()
        finally:
            self._leave()


@asynccontextmanager
async def _in_time(call: ChatCall, now_ms: int) -> AsyncGenerator[None]:
    """End what is within when the caller's time is over."""
    left_ms = call.left_ms(now_ms)
    timer = asyncio.timeout(None if left_ms is None else left_ms / 1000)
    over = _failed("deadline", 504, "The caller's time limit was reached")
    if left_ms == 0:
        raise over
    try:
        async with timer:
            yield
    except TimeoutError:
        if not timer.expired():
            raise
        raise over from None


async def _entered(call: ChatCall, to: Endpoint, now_ms: int) -> Callable[[], None]:
    """Wait in the line of an account."""
    left_ms = call.left_ms(now_ms)
    try:
        return await to.turnstile.enter(None if left_ms is None else left_ms / 1000)
    except Busy as busy:
        raise AttemptFailed(
            Failure(
                cause="capacity",
                status=429,
                text=str(busy),
                error_type="account_semaphore_capacity",
                code=busy.code,
                retry_after_ms=busy.retry_after_ms,
            )
        ) from busy


async def _send(
    call: ChatCall,
    to: Endpoint,
    timeouts: Timeouts,
    now_ms: int,
    leave: Callable[[], None],
    *,
    stream: bool,
) -> OutboundResponse:
    try:
        call = await self_contained(call, to)
        plain = outbound(call, to, timeouts, stream=stream)
        response = Held(await _answered(plain, to), leave)
    except InvalidRequest as error:
        raise _failed("unsupported", 400, str(error)) from error
    except TransportFailed as error:
        raise _transport_failure(error) from error
    except LoginFailed as error:
        raise _login_failure(error) from error
    if response.status != 200:
        try:
            raise await _status_failure(response, to, now_ms)
        finally:
            await response.aclose()
    to.turnstile.learn(response.status, response.headers, None)
    call.lap("connect")
    return response


async def _answered(plain: OutboundRequest, to: Endpoint) -> OutboundResponse:
    """The upstream's response. A token of a login that it refuses is renewed, once."""
    logins = to.logins
    if logins is None or to.account.auth_type != "oauth":
        return await to.sender.send(await authorized(plain, to))
    to = replace(to, account=await logins.fresh(to.account))
    response = await to.sender.send(await authorized(plain, to))
    if response.status != 401 or not logins.renewable(to.account):
        return response
    await response.aclose()
    to = replace(to, account=await logins.renewed(to.account, refused=True))
    return await to.sender.send(await authorized(plain, to))


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
    to.turnstile.learn(status, response.headers, hint)
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
    status = {"timeout": 504, "proxy_connect": 503}.get(error.kind, 502)
    failure = Failure(
        cause=error.kind, status=status, text=str(error), retry_after_ms=error.retry_after_ms
    )
    return AttemptFailed(failure)


def _login_failure(error: LoginFailed) -> AttemptFailed:
    if error.kind == "ended":
        return _failed("login_ended", 401, str(error))
    failure = Failure(
        cause="login_failed", status=503, text=str(error), retry_after_ms=error.retry_after_ms
    )
    return AttemptFailed(failure)


def _failed(cause: Cause, status: int, text: str) -> AttemptFailed:
    return AttemptFailed(Failure(cause=cause, status=status, text=text))
