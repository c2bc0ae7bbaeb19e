"""A chat answer as an ASGI response: whole or streamed, watched for clients that hang up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TypeAlias

import structlog
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from omniroute.chat import ChatRequest
from omniroute.dialects.codec import ClientCodec
from omniroute.dialects.sse import EVENT_STREAM
from omniroute.errors import OmniRouteError
from omniroute.http.doors import Doors
from omniroute.http.errors import error_facts, internal_facts, retry_headers, status_of
from omniroute.http.models.budget_headers import budget_headers
from omniroute.http.models.deadlines import deadline_ms
from omniroute.http.models.json_array import ARRAY_TYPE, ArrayFrames
from omniroute.http.models.keepalive import Keepalive, Progress, wants_progress
from omniroute.operations.chats import chat
from omniroute.pipeline.callers.session_ids import session_id_of
from omniroute.pipeline.exchange import ChatCall, Receipt, ReplyHead, StreamAnswer
from omniroute.pipeline.telemetry import Stopwatch

log = structlog.get_logger(__name__)

STREAM_HEADERS: Mapping[str, str] = {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


Keep: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Sees a whole reply, or the frames of a stream, and says what of them is sent."""

Amend: TypeAlias = Callable[[ChatRequest], ChatRequest]
"""Fills in what a dialect says in the path instead of the body."""


def json_response(body: bytes) -> ASGIResponse:
    """JSON that is ready to be sent, from a handler that may also answer with a stream."""
    return ASGIResponse(body=body, media_type="application/json")


class ChatResponse(ASGIResponse):
    """Runs a chat request where its client can be watched, and answers as `client` speaks.

    Args:
        keep: sees everything that is sent of an answer.
        as_array: stream a JSON array instead of server-sent events.
    """

    def __init__(
        self,
        doors: Doors,
        client: ClientCodec,
        body: bytes,
        headers: Mapping[str, str],
        amend: Amend | None = None,
        *,
        keep: Keep | None = None,
        as_array: bool = False,
    ) -> None:
        super().__init__()
        self._doors = doors
        self._client = client
        self._request_body = body
        self._request_headers = headers
        self._amend = amend
        self._keep = keep
        self._as_array = as_array
        self._session: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; when the client hangs up, stop the upstream and settle."""
        worker = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            if worker is not None:
                worker.cancel()

        watcher = asyncio.ensure_future(watch())
        try:
            await self._answer(scope, send)
        except asyncio.CancelledError:
            if not gone or worker is None:
                raise
            worker.uncancel()
        finally:
            watcher.cancel()

    async def _answer(self, scope: Scope, send: Send) -> None:
        codec = self._client
        request_id: str = scope["state"]["request_id"]
        started = False

        async def start(status: int, headers: Mapping[str, str]) -> None:
            nonlocal started
            started = True
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
                }
            )

        try:
            await self._run(scope, request_id, start, send)
        except OmniRouteError as error:
            body = codec.encode_error(error_facts(error, request_id))
            headers = {
                "content-type": "application/json",
                **retry_headers(error),
                **_session_header(self._session),
            }
            await start(status_of(error), headers)
            await send({"type": "http.response.body", "body": body, "more_body": False})
        except Exception:
            log.exception("chat_request_failed", request_id=request_id)
            if started:
                raise
            await start(500, {"content-type": "application/json"})
            body = codec.encode_error(internal_facts(request_id))
            await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _run(
        self,
        scope: Scope,
        request_id: str,
        start: Callable[[int, Mapping[str, str]], Awaitable[None]],
        send: Send,
    ) -> None:
        engine = self._doors.engine
        headers = self._request_headers
        watch = engine.chat.telemetry.watch()
        caller = self._doors.caller_of(scope)
        watch.lap("policy")
        request = self._client.decode_request(self._request_body)
        if self._amend is not None:
            request = self._amend(request)
        watch.lap("parse")
        streaming = request.stream
        if streaming is None:
            streaming = "text/event-stream" in headers.get("accept", "")
        self._session = session_id_of(caller, request, headers)
        call = ChatCall(
            request_id=request_id,
            caller=caller,
            request=request,
            client=self._client,
            body=self._request_body,
            headers=headers,
            pinned_connection=headers.get("x-omniroute-connection") or None,
            path=scope["path"],
            deadline_ms=deadline_ms(headers, engine.now_ms()),
            watch=watch,
            session=self._session,
        )
        if streaming:
            answer = await chat.stream_bytes(engine, call)
            content_type = ARRAY_TYPE if self._as_array else self._client.stream_type
            progress = None
            if content_type == EVENT_STREAM and wants_progress(headers):
                progress = Progress(send)
            async with aclosing(answer.outputs):
                own = {
                    **reply_headers(answer.head, None, self._session),
                    **server_timing(watch),
                    **budget_headers(answer.head.purses, engine.now_ms()),
                }
                if progress is not None:
                    own["x-omniroute-progress"] = "enabled"
                await start(200, {"content-type": content_type, **STREAM_HEADERS, **own})
                await self._send_stream(answer, send, progress)
            return
        whole = await chat.complete(engine, call)
        body = whole.body if self._keep is None else await self._keep(whole.body)
        await start(
            200,
            {
                "content-type": "application/json",
                "content-length": str(len(body)),
                **reply_headers(whole.head, whole.receipt, self._session),
                **server_timing(watch),
                **budget_headers(whole.head.purses, engine.now_ms()),
            },
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_stream(
        self, answer: StreamAnswer[bytes], send: Send, progress: Progress | None
    ) -> None:
        array = ArrayFrames() if self._as_array else None
        pause = b"\n" if array else self._client.keepalive()
        keepalive = Keepalive(send, pause, self._doors.heartbeat_s if pause else None)
        try:
            async for output in answer.outputs:
                if array is not None:
                    output = array.feed(output)
                if output:
                    if self._keep is not None:
                        output = await self._keep(output)
                    await send({"type": "http.response.body", "body": output, "more_body": True})
                    keepalive.touch()
                    if progress is not None:
                        progress.count(output)
        finally:
            keepalive.stop()
            if progress is not None:
                progress.stop()
        ending = array.close() if array is not None else b""
        if progress is not None:
            ending += progress.frame(done=True)
        await send({"type": "http.response.body", "body": ending, "more_body": False})


def _session_header(session: str | None) -> dict[str, str]:
    """The session a request belongs to; a name no header can carry is left out."""
    plain = session is not None and session.isascii() and session.isprintable()
    return {"x-omniroute-session-id": session} if plain and session is not None else {}


def server_timing(watch: Stopwatch) -> dict[str, str]:
    """What the gateway itself took, and what upstreams were waited for. Milliseconds."""
    gateway, upstream = watch.gateway_s * 1000, watch.waited_s * 1000
    return {"server-timing": f"gateway;dur={gateway:.2f}, upstream;dur={upstream:.2f}"}


def reply_headers(head: ReplyHead, receipt: Receipt | None, session: str | None) -> dict[str, str]:
    """The gateway's own headers on a successful answer (01 §2.7); zeros while it streams."""
    cost = (receipt.cost_micro_usd or 0) / 1e6 if receipt else 0.0
    changes = ",".join(dict.fromkeys(change.code for change in head.changes))
    return {
        "x-omniroute-provider": head.provider_alias,
        "x-omniroute-model": head.chosen.model,
        "x-omniroute-cache": "HIT" if head.source == "cache" else "MISS",
        "x-omniroute-cache-hit": "true" if head.source == "cache" else "false",
        **({"x-omniroute-idempotent": "true"} if head.source == "idempotency" else {}),
        **({"x-omniroute-changes": changes} if changes else {}),
        "x-omniroute-latency-ms": str(receipt.latency_ms if receipt else 0),
        "x-omniroute-tokens-in": str(receipt.input_tokens if receipt else 0),
        "x-omniroute-tokens-out": str(receipt.output_tokens if receipt else 0),
        "x-omniroute-response-cost": f"{cost:.10f}",
        **_session_header(session),
    }
