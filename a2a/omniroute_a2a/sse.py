"""Event streams: JSON messages as `data:` lines, with a heartbeat while nothing else is sent."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent

HEARTBEAT_S = 15.0

HEADERS = {"Cache-Control": "no-cache, no-transform"}
"""The library adds `Connection: keep-alive` and `X-Accel-Buffering: no`."""


@dataclass(frozen=True, slots=True)
class EventStreams:
    """Makes event-stream responses.

    Args:
        grace_s: how long a stream may run on while the server shuts down. Without it
            sse-starlette cuts every stream at the first sign of a shutdown.
        heartbeat_s: pause between two heartbeat comments.
    """

    grace_s: float
    heartbeat_s: float = HEARTBEAT_S

    def response(self, frames: AsyncGenerator[dict[str, Any], None]) -> EventSourceResponse:
        """A response that sends each frame as one event."""
        return EventSourceResponse(
            lines(frames),
            headers=HEADERS,
            ping=self.heartbeat_s,
            ping_message_factory=heartbeat,
            shutdown_grace_period=self.grace_s,
        )


async def lines(
    frames: AsyncGenerator[dict[str, Any], None],
) -> AsyncGenerator[ServerSentEvent, None]:
    """Each frame as a server-sent event."""
    try:
        async for frame in frames:
            yield ServerSentEvent(msgspec.json.encode(frame).decode())
    finally:
        await frames.aclose()


def heartbeat() -> ServerSentEvent:
    """A comment that keeps proxies from closing a quiet stream."""
    return ServerSentEvent(comment=f"heartbeat {datetime.now(UTC).isoformat()}")
