"""Sessions: what they are called, how long they live, and how many a key may have."""

from collections.abc import Mapping
from typing import Any

import pytest

from omniroute.caller import Caller, run_named
from omniroute.chat import ChatRequest, Message, Text, Tool
from omniroute.errors import RateLimited
from omniroute.pipeline.callers.session_ids import fingerprint, session_id_of
from omniroute.pipeline.callers.sessions import LIMIT_CODE, TTL_MS, Sessions

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000
ANYBODY = Caller(door="http")
HELLO = Message("user", (Text("Hello"),))
ASKED = ChatRequest(model="m", messages=(HELLO,))

NAMED: dict[str, tuple[Mapping[str, str], Caller, str]] = {
    "a header": ({"x-session-id": " a "}, ANYBODY, "ext:a"),
    "underscores": ({"x_session_id": "b"}, ANYBODY, "ext:b"),
    "ours": ({"x-omniroute-session": "c"}, ANYBODY, "ext:c"),
    "the plain one": ({"session-id": "d"}, ANYBODY, "ext:d"),
    "the first of several": ({"session-id": "d", "x-session-id": "a"}, ANYBODY, "ext:a"),
    "a long one is cut": ({"x-session-id": "x" * 99}, ANYBODY, f"ext:{'x' * 64}"),
    "an empty one is none": ({"x-session-id": " ", "session-id": "d"}, ANYBODY, "ext:d"),
    "the door's": ({}, Caller(door="mcp", session_id="abc"), "abc"),
    "a header before the door's": (
        {"x-session-id": "a"},
        Caller(door="mcp", session_id="abc"),
        "ext:a",
    ),
}


@pytest.mark.parametrize(("headers", "caller", "expected"), NAMED.values(), ids=NAMED)
def test_names(headers: Mapping[str, str], caller: Caller, expected: str) -> None:
    assert session_id_of(caller, ASKED, headers) == expected


def test_without_a_name_the_beginning_of_a_conversation_is_its_name() -> None:
    named = session_id_of(ANYBODY, ASKED, {})
    longer = ChatRequest(model="m", messages=(HELLO, Message("assistant", (Text("Hi"),)), HELLO))
    assert named == fingerprint(longer)
    assert named is not None
    assert len(named) == 16
    others: list[dict[str, Any]] = [
        {"model": "n", "messages": (HELLO,)},
        {"model": "m", "messages": (Message("user", (Text("Bye"),)),)},
        {"model": "m", "messages": (Message("system", (Text("Be brief"),)), HELLO)},
        {"model": "m", "messages": (HELLO,), "tools": (Tool(name="t"),)},
    ]
    found = {fingerprint(ChatRequest(**one)) for one in others}
    assert len(found | {named}) == 5


def test_the_order_of_tools_does_not_matter() -> None:
    one, two = Tool(name="a"), Tool(name="b")
    names = {
        fingerprint(ChatRequest(model="m", messages=(HELLO,), tools=tools))
        for tools in ((one, two), (two, one))
    }
    assert len(names) == 1


def test_a_request_of_nothing_has_no_session() -> None:
    assert fingerprint(ChatRequest(model="", messages=())) is None


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUNS: dict[str, tuple[object, object, str | None]] = {
    "named": ("nightly", TRACE, "nightly"),
    "a trace": (None, TRACE, "0af7651916cd43dd8448eb211c80319c"),
    "an empty name": (" ", None, None),
    "no text": (7, 7, None),
    "a broken trace": (None, TRACE[:40], None),
    "neither": (None, None, None),
}


@pytest.mark.parametrize(("named", "trace", "expected"), RUNS.values(), ids=RUNS)
def test_runs(named: object, trace: object, expected: str | None) -> None:
    assert run_named(named, trace) == expected


async def test_a_session_is_counted_seen_and_forgotten() -> None:
    clock = [NOW_MS]
    sessions = Sessions(lambda: clock[0])
    await sessions.enter(ANYBODY, "a")
    clock[0] += 1_000
    await sessions.enter(ANYBODY, "b")
    await sessions.enter(ANYBODY, "a")
    sessions.answered(ANYBODY, "a", "account")
    await sessions.enter(ANYBODY, None)
    shown = [
        (row.id, row.created_ms - NOW_MS, row.seen_ms - NOW_MS, row.requests, row.connection_id)
        for row in sessions.alive()
    ]
    assert shown == [("a", 0, 1_000, 2, "account"), ("b", 1_000, 1_000, 1, None)]
    clock[0] += TTL_MS
    assert len(sessions.alive()) == 2
    clock[0] += 1
    assert sessions.alive() == []
    await sessions.enter(ANYBODY, "a")
    assert [row.requests for row in sessions.alive()] == [1]


async def test_a_key_has_as_many_sessions_as_it_may() -> None:
    clock = [NOW_MS]
    sessions = Sessions(lambda: clock[0])
    one, other = (Caller(door="http", key_id=key, max_sessions=2) for key in ("one", "other"))
    for session in ("a", "b", "a", "b"):
        await sessions.enter(one, session)
    with pytest.raises(RateLimited) as refused:
        await sessions.enter(one, "c")
    assert refused.value.code == LIMIT_CODE
    await sessions.enter(other, "c")
    clock[0] += TTL_MS
    await sessions.enter(one, "a")
    clock[0] += 1
    await sessions.enter(one, "c")  # nobody has been in `b` for half an hour
    with pytest.raises(RateLimited):
        await sessions.enter(one, "b")


async def test_the_same_name_of_another_key_is_another_session() -> None:
    sessions = Sessions(lambda: NOW_MS)
    await sessions.enter(Caller(door="http", key_id="one"), "a")
    await sessions.enter(Caller(door="http", key_id="two"), "a")
    assert sorted((row.owner, row.requests) for row in sessions.alive()) == [
        ("one", 1),
        ("two", 1),
    ]
