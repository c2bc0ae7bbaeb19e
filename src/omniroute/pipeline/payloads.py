"""Keeps what requests and answers said, for as long as an operator wants that: off by default."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import ClassVar, TypeVar

import msgspec
import structlog

from omniroute.chat import Event
from omniroute.dialects.redaction import redact_secrets
from omniroute.pipeline.exchange import ChatCall, Outputs, StreamAnswer
from omniroute.pipeline.keepers.keeper import Keeper
from omniroute.routing.settings import PayloadPolicy
from omniroute.routing.trace import RouteTrace
from omniroute.storage.database import Database
from omniroute.storage.records.payloads import Payload

log = structlog.get_logger(__name__)

OutT = TypeVar("OutT", bytes, list[Event])

MOST_WAITING = 1_000
"""Calls whose bodies wait to be stored; more than that are not kept."""


class Recording:
    """The bodies of a call under way."""

    def __init__(self, call: ChatCall, policy: PayloadPolicy, now_ms: int) -> None:
        self.policy = policy
        self.outcome: str | None = None
        self._limit = policy.max_size_kb * 1024
        self._at_ms = now_ms
        self._id = call.request_id
        body = call.body if call.body is not None else msgspec.json.encode(call.request)
        self._request = body[: self._limit]
        self._pieces: list[bytes] = []
        self._size = 0
        self._cut = len(body) > self._limit

    def saw(self, piece: bytes) -> None:
        """A piece of the answer."""
        left = self._limit - self._size
        self._pieces.append(piece[:left])
        self._size += min(len(piece), left)
        self._cut = self._cut or len(piece) > left

    def made(self) -> Payload | None:
        """What is to be kept; None where that is nothing."""
        if self.policy.mode == "errors" and self.outcome == "completed":
            return None
        return Payload(
            id=self._id,
            timestamp_ms=self._at_ms,
            request=self._request,
            response=b"".join(self._pieces) if self._pieces else None,
            cut=self._cut,
        )


class PayloadLog(Keeper):
    """Records calls, and stores what they said a moment later.

    Args:
        policy: what an operator wants at this moment.
    """

    what: ClassVar[str] = "bodies of calls"

    def __init__(
        self,
        database: Database,
        policy: Callable[[], PayloadPolicy],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__(database)
        self._policy = policy
        self._now_ms = now_ms
        self._under_way: dict[str, Recording] = {}
        self._waiting: deque[Payload] = deque()

    def begin(self, call: ChatCall) -> Recording | None:
        """Record a call; None where its bodies are not to be kept."""
        policy = self._policy()
        if policy.mode == "off" or call.caller.no_log:
            return None
        recording = Recording(call, policy, self._now_ms())
        self._under_way[call.request_id] = recording
        return recording

    def observe(self, call: ChatCall, trace: RouteTrace) -> None:
        """Hear how a request ended."""
        recording = self._under_way.get(call.request_id)
        if recording is not None:
            recording.outcome = trace.outcome

    def end(self, call: ChatCall, recording: Recording) -> None:
        """The call is over."""
        self._under_way.pop(call.request_id, None)
        payload = recording.made()
        if payload is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            log.warning("payload_not_kept", request_id=call.request_id)
            return
        self._waiting.append(payload)

    def recorded(
        self,
        call: ChatCall,
        recording: Recording,
        answer: StreamAnswer[OutT],
        encode: Callable[[OutT], bytes],
    ) -> StreamAnswer[OutT]:
        """The same answer, recorded as it goes by."""

        async def given() -> AsyncGenerator[OutT, None]:
            async with aclosing(answer.outputs):
                async for output in answer.outputs:
                    recording.saw(encode(output))
                    yield output

        async def leave() -> None:
            await answer.outputs.aclose()
            self.end(call, recording)

        return StreamAnswer(answer.head, answer.receipt, Outputs(given(), leave))

    async def flush(self) -> None:
        """Store what has been recorded, without the credentials in it."""
        if not self._waiting:
            return
        batch = list(self._waiting)
        plain = await asyncio.to_thread(lambda: [_redacted(one) for one in batch])
        async with self._database.work() as work:
            await work.payloads.add(plain)
        for _ in batch:
            self._waiting.popleft()


def _redacted(payload: Payload) -> Payload:
    return msgspec.structs.replace(
        payload, request=_plain(payload.request), response=_plain(payload.response)
    )


def _plain(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    return redact_secrets(body.decode("utf-8", "replace")).encode()
