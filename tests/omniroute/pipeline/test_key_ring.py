"""Accounts with several keys: whose turn it is, and what a refusal of one of them costs."""

from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, node, snapshot

from omniroute.errors import OmniRouteError, UpstreamFailed
from omniroute.pipeline.accounts.key_ring import KeyRing
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

REPLY = b'{"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}'


def keyed(*extra: Any, primary: str | None = "k0") -> Connection:
    """An account with more keys than one."""
    made = account("one-one", "a", options={"extraApiKeys": list(extra)})
    return msgspec.structs.replace(made, api_key=primary)


def picked(ring: KeyRing, row: Connection, times: int) -> list[tuple[str | None, int | None]]:
    """Which keys have their turn, and their places."""
    found = (ring.pick(row) for _ in range(times))
    return [(one.api_key, place) for one, place in found]


TURNS: dict[str, tuple[Connection, list[tuple[str | None, int | None]]]] = {
    "one key": (keyed(), [("k0", None), ("k0", None)]),
    "no list": (account("one-one", "a", options={"extraApiKeys": "k1"}), [("key", None)] * 2),
    "turns with the first": (keyed("k1", "k2"), [("k0", 0), ("k1", 1), ("k2", 2), ("k0", 0)]),
    "no key twice, none that is blank": (keyed("k0", " ", "k1"), [("k0", 0), ("k1", 3)]),
    "extra ones only": (keyed("k1", "k2", primary=None), [("k1", 1), ("k2", 2)]),
}


@pytest.mark.parametrize(("row", "expected"), TURNS.values(), ids=TURNS)
def test_keys_take_turns(row: Connection, expected: list[tuple[str | None, int | None]]) -> None:
    assert picked(KeyRing(), row, len(expected)) == expected


def test_a_refused_key_has_no_more_turns_until_all_are_refused() -> None:
    ring, row = KeyRing(), keyed("k1")
    assert ring.refused(row, 0)
    assert picked(ring, row, 2) == [("k1", 1), ("k1", 1)]
    assert not ring.refused(row, 1)
    assert {key for key, _ in picked(ring, row, 2)} == {"k0", "k1"}


def test_a_changed_account_has_all_its_keys_again() -> None:
    ring, row = KeyRing(), keyed("k1")
    ring.refused(row, 1)
    ring.forget("a")
    assert {key for key, _ in picked(ring, row, 2)} == {"k0", "k1"}


def build(bench: Build, refused: dict[str, int]) -> Bench:
    """A pipeline whose upstream refuses some keys with a status."""

    def answers(request: OutboundRequest) -> Answer:
        key = request.headers["authorization"].removeprefix("Bearer ")
        if key in refused:
            return Answer(refused[key], {}, (b'{"error": {"message": "Bad key"}}',))
        return Answer(pieces=(REPLY,))

    return bench(snapshot(nodes=[node("one")], accounts=[keyed("k1", "k2")]), answers)


def attempts(made: Bench, at: int = -1) -> list[tuple[int | None, int, str | None]]:
    """Key, status and what followed, of each attempt of a request, the newest one by default."""
    trace = msgspec.json.decode(made.records[at].trace.data, type=RouteTrace)
    return [(row.key, row.status, row.action) for row in trace.attempts]


REFUSED = [401, 403]


@pytest.mark.parametrize("status", REFUSED)
async def test_a_refused_key_leaves_its_account_in_service(bench: Build, status: int) -> None:
    made = build(bench, {"k0": status, "k2": status})
    await made.pipeline.complete(chat_call("one/x"))
    assert attempts(made) == [(0, status, "retry"), (1, 200, None)]
    await made.pipeline.complete(chat_call("one/x"))
    await made.pipeline.complete(chat_call("one/x"))
    assert attempts(made) == [(1, 200, None)]
    assert attempts(made, at=1) == [(2, status, "retry"), (1, 200, None)]
    assert made.health.view().cooldowns == {}
    told = made.records[0].trace.data
    assert not any(key in told for key in ('"k0"', '"k1"', '"k2"'))


async def test_with_its_last_key_the_account_is_refused(bench: Build) -> None:
    made = build(bench, {"k0": 401, "k1": 401, "k2": 401})
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("one/x"))
    assert attempts(made) == [(0, 401, "retry"), (1, 401, "retry"), (2, 401, "next-account")]
    assert made.health.view().cooldowns["a"].terminal == "expired"


async def test_what_is_not_the_keys_fault_costs_no_key(bench: Build) -> None:
    made = build(bench, {"k0": 429, "k1": 401})
    with pytest.raises(OmniRouteError):
        await made.pipeline.complete(chat_call("one/x"))
    assert attempts(made)[0] == (0, 429, "next-account")
    assert picked(made.pipeline.keys, keyed("k1", "k2"), 3)[-1] == ("k0", 0)
