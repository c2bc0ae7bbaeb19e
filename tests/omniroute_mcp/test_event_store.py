"""Events are kept per session, the newest only, and shown to nobody else."""

import pytest
from mcp.server.streamable_http import EventMessage
from mcp_types import JSONRPCNotification

from omniroute_mcp.event_store import CURRENT, EVENTS_PER_SESSION, EventRing, SessionEvents

pytestmark = pytest.mark.anyio


def message(name: str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method=name)


async def replayed(session: SessionEvents, last: str) -> tuple[str | None, list[str]]:
    """The stream named, and the methods of the messages sent again."""
    seen: list[str] = []

    async def send(event: EventMessage) -> None:
        assert isinstance(event.message, JSONRPCNotification)
        seen.append(event.message.method)

    CURRENT.set(session)
    return await EventRing().replay_events_after(last, send), seen


async def stored(session: SessionEvents, stream: str, name: str | None) -> str:
    CURRENT.set(session)
    return await EventRing().store_event(stream, None if name is None else message(name))


async def test_what_came_after_on_the_same_stream_comes_again() -> None:
    session = SessionEvents()
    primed = await stored(session, "1", None)
    await stored(session, "2", "elsewhere")
    await stored(session, "1", "first")
    await stored(session, "1", None)
    await stored(session, "1", "second")
    assert await replayed(session, primed) == ("1", ["first", "second"])


async def test_sessions_that_number_alike_stay_apart() -> None:
    mine, yours = SessionEvents(), SessionEvents()
    primed = await stored(mine, "1", None)
    await stored(yours, "1", None)
    await stored(yours, "1", "not mine")
    assert await replayed(mine, primed) == ("1", [])
    assert await replayed(mine, "2") == (None, [])


@pytest.mark.parametrize("last", ["", "0", "-1", "01", "²", "nobody"])
async def test_an_unknown_event_names_no_stream(last: str) -> None:
    session = SessionEvents()
    await stored(session, "1", "first")
    assert await replayed(session, last) == (None, [])


async def test_the_oldest_events_go_first() -> None:
    session = SessionEvents()
    first = await stored(session, "1", "first")
    second = await stored(session, "1", "second")
    for _ in range(EVENTS_PER_SESSION - 1):
        await stored(session, "1", None)
    assert await replayed(session, first) == (None, [])
    assert await replayed(session, second) == ("1", [])
