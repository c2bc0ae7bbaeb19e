"""What a client that lost its stream may still fetch: the newest events of each session."""

from collections import OrderedDict, deque
from itertools import count

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage

EVENTS_PER_STREAM = 1_000
STREAMS = 10_000


class EventRing(EventStore):
    """In memory, bounded both ways: oldest events and longest-unused streams go first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._streams: OrderedDict[StreamId, deque[tuple[int, JSONRPCMessage | None]]] = (
            OrderedDict()
        )
        self._stream_of: dict[int, StreamId] = {}

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event; its id."""
        number = next(self._numbers)
        events = self._streams.setdefault(stream_id, deque())
        self._streams.move_to_end(stream_id)
        events.append((number, message))
        self._stream_of[number] = stream_id
        if len(events) > EVENTS_PER_STREAM:
            self._stream_of.pop(events.popleft()[0], None)
        if len(self._streams) > STREAMS:
            _, dropped = self._streams.popitem(last=False)
            for old, _ in dropped:
                self._stream_of.pop(old, None)
        return str(number)

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        """Send what came after an event on its stream; None when the event is not known."""
        last = int(last_event_id) if last_event_id.isdigit() else -1
        stream_id = self._stream_of.get(last)
        if stream_id is None:
            return None
        for number, message in list(self._streams[stream_id]):
            if number > last and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id
