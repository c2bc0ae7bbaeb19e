"""What a client that lost its stream may still fetch: the newest events of its own session."""

from collections import deque
from contextvars import ContextVar
from itertools import count

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

EVENTS_PER_SESSION = 1_000


class SessionEvents:
    """The events of one session, oldest gone first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._events: deque[tuple[int, StreamId, JSONRPCMessage | None]] = deque(
            maxlen=EVENTS_PER_SESSION
        )

    def add(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event; its id."""
        number = next(self._numbers)
        self._events.append((number, stream_id, message))
        return str(number)

    def after(self, event_id: EventId) -> tuple[StreamId, list[EventMessage]] | None:
        """The stream of an event and what came after it there; None when it is not kept."""
        kept = list(self._events)
        found = [(number, stream) for number, stream, _ in kept if str(number) == event_id]
        if not found:
            return None
        ((last, stream_id),) = found
        return stream_id, [
            EventMessage(message, str(number))
            for number, stream, message in kept
            if stream == stream_id and number > last and message is not None
        ]


CURRENT: ContextVar[SessionEvents] = ContextVar("omniroute_mcp_session_events")
"""The session of the running request. A session's own task inherits it from its first request."""


class EventRing(EventStore):
    """Keeps each session's events apart.

    The SDK hands one store to all sessions and names streams by request id, which every client
    counts from one: without the session, a client could fetch the answers of another.
    """

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event of the current session; its id."""
        return CURRENT.get().add(stream_id, message)

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        """Send what came after an event on its stream; None when this session has no such event."""
        missed = CURRENT.get().after(last_event_id)
        if missed is None:
            return None
        stream_id, events = missed
        for event in events:
            await send_callback(event)
        return stream_id
