"""The golden cases of 05 §12.10: whole wire values in, whole wire values out.

One file a case in `golden`, named after its number and its direction: a `request` with what it
`becomes` (or the field for which it is refused), or an upstream's `stream` with the frames a client
gets and the whole reply it would get instead.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.builders import asking

from omniroute.chat import Dialect, Event, Failed, collect
from omniroute.dialects import CODECS
from omniroute.dialects.adaptation import adapted
from omniroute.dialects.codec import Codec, TargetFacts
from omniroute.dialects.sse import split
from omniroute.dialects.think_tags import without_tags
from omniroute.errors import InvalidRequest
from omniroute.pipeline.streams.flow import failed_facts

HERE = Path(__file__).parent
ROWS = {file.stem: json.loads(file.read_bytes()) for file in sorted(HERE.glob("golden/*.json"))}
REQUESTS = {name: row for name, row in ROWS.items() if "request" in row}
REPLIES = {name: row for name, row in ROWS.items() if "stream" in row}

ELSEWHERE: dict[int, str] = {
    19: "dialects/test_requests.py::test_anthropic_passthrough",
    40: "dialects/test_replies.py::test_other_ends",
    41: "dialects/test_replies.py::ANTHROPIC_STREAMS",
    53: "dialects/test_recorded.py::test_no_cut_changes_the_events",
    54: "pipeline/test_exits.py::test_a_whole_reply_that_is_none_is_asked_for_elsewhere",
    56: "pipeline/test_estimate.py::test_the_estimate_is_never_over_the_bound",
    59: "pipeline/test_exits.py::test_every_exit_leaves_nothing_behind",
    60: "pipeline/test_chat.py::test_a_slow_first_byte_is_not_waited_for",
}
"""Cases that are about more than one translation, and the tests that prove them."""

PROPERTIES: dict[str, str] = {
    "P1": "dialects/test_properties.py::test_a_streamed_reply_says_what_the_whole_one_says",
    "P2": "dialects/test_recorded.py::test_no_cut_changes_the_events",
    "P3": "dialects/test_properties.py::test_a_conversation_survives_the_wire",
    "P4": "dialects/test_properties.py::test_anthropic_blocks_are_sequential",
    "P5": "dialects/test_properties.py::test_calls_and_answers_pair_up_however_history_was_damaged",
    "P6": "dialects/test_properties.py::test_nothing_is_lost_on_the_wire",
    "P7": "dialects/test_properties.py::test_any_json_is_a_request_or_a_typed_refusal",
}


def test_every_case_and_property_is_proved() -> None:
    assert {row["case"] for row in ROWS.values()} | ELSEWHERE.keys() == set(range(1, 61))
    for proof in (*ELSEWHERE.values(), *PROPERTIES.values()):
        page, _, name = proof.partition("::")
        assert name in (HERE.parent / page).read_text(), proof


@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS)
def test_requests(row: dict[str, Any]) -> None:
    source, target = CODECS[Dialect(row["from"])], CODECS[Dialect(row["to"])]
    facts = TargetFacts(model="up", **row.get("facts", {}))
    body = json.dumps({"model": "m", **row["request"]}).encode()
    if "refused" in row:
        with pytest.raises(InvalidRequest) as refused:
            target.encode_request(adapted(source.decode_request(body), facts), facts)
        assert refused.value.param == row["refused"]
        return
    request = adapted(source.decode_request(body), facts)
    assert json.loads(target.encode_request(request, facts)) == row["becomes"]
    assert dict(target.tool_names(request)) == row.get("renamed", {})


def wire(dialect: Dialect, frames: list[Any]) -> bytes:
    if dialect is Dialect.OLLAMA:
        return b"".join(json.dumps(frame).encode() + b"\n" for frame in frames)
    out = b""
    for frame in frames:
        name = f"event: {frame['type']}\n" if isinstance(frame, dict) and "type" in frame else ""
        data = frame if isinstance(frame, str) else json.dumps(frame)
        out += f"{name}data: {data}\n\n".encode()
    return out


def shown(dialect: Dialect, stream: bytes) -> list[Any]:
    if dialect is Dialect.OLLAMA:
        return [json.loads(line) for line in stream.splitlines()]
    return [e.data if e.data == "[DONE]" else json.loads(e.data) for e in split(stream)]


def read(codec: Codec, stream: bytes) -> list[Event]:
    splitter, decoder = codec.splitter(), codec.decoder()
    frames = [*splitter.feed(stream), *splitter.close()]
    return [event for frame in frames for event in decoder.feed(frame)]


@pytest.mark.parametrize("row", REPLIES.values(), ids=REPLIES)
def test_replies(row: dict[str, Any]) -> None:
    source, target = Dialect(row["from"]), Dialect(row["to"])
    events = read(CODECS[source], wire(source, row["stream"]))
    if row.get("thinks_in_text"):
        events = without_tags(events)
    asked = asking(include_usage=True, model="asked")
    encoder = CODECS[target].encoder(asked)
    stream = b"".join(
        encoder.fail(failed_facts(event)) if isinstance(event, Failed) else encoder.feed(event)
        for event in events
    )
    assert shown(target, stream + encoder.close()) == row["becomes"]
    if row["whole"] is not None:
        reply = collect(events)
        assert json.loads(CODECS[target].encode_reply(reply, asked)) == row["whole"]
