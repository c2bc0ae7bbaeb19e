"""Amazon's event stream, against frames written by hand and cut at every byte."""

import base64
import binascii
import json
import struct
from typing import Any

import pytest

from omniroute.dialects.codec import MalformedReply
from omniroute.upstream.aws.event_stream import EventStreamToSse


def message(headers: dict[str, str], body: bytes) -> bytes:
    """One message: prelude, headers, body, and the two checksums.

    Source: docs.aws.amazon.com, "Amazon event stream encoding".
    """
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    total = 12 + len(encoded) + len(body) + 4
    prelude = struct.pack("!II", total, len(encoded))
    prelude += struct.pack("!I", binascii.crc32(prelude))
    return prelude + encoded + body + struct.pack("!I", binascii.crc32(prelude + encoded + body))


def chunk(event: dict[str, Any]) -> bytes:
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    headers = {":event-type": "chunk", ":message-type": "event"}
    return message(headers, json.dumps({"bytes": inner}).encode())


EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m"}},
    {"type": "message_stop"},
]
STREAM = b"".join(map(chunk, EVENTS))
WANTED = b"".join(
    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS
)


def test_a_stream_cut_at_every_byte_says_the_same() -> None:
    for cut in range(len(STREAM) + 1):
        events = EventStreamToSse()
        assert events.feed(STREAM[:cut]) + events.feed(STREAM[cut:]) == WANTED, cut


def test_an_exception_becomes_an_error_event() -> None:
    headers = {":exception-type": "throttlingException", ":message-type": "exception"}
    given = EventStreamToSse().feed(message(headers, b'{"message":"Too many"}'))
    assert given == (
        b"event: error\n"
        b'data: {"type":"error","error":{"type":"rate_limit_error","message":"Too many"}}\n\n'
    )


DAMAGED = {
    "a checksum": STREAM[:40] + b"!" + STREAM[41:],
    "no model's event": message({":event-type": "chunk"}, b'{"bytes":"%%"}'),
    "no object": message({":event-type": "chunk"}, b"[]"),
}


@pytest.mark.parametrize("stream", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_noticed(stream: bytes) -> None:
    with pytest.raises(MalformedReply):
        EventStreamToSse().feed(stream)
