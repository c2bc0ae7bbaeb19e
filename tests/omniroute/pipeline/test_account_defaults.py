"""What an account asks for where a request does not say: sent, told, and never over the client."""

from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Build, chat_call
from tests.support.builders import account, node, snapshot

from omniroute.chat import Dialect, Extras, ReasoningRequest
from omniroute.pipeline.account_defaults import with_defaults
from omniroute.pipeline.exchange import ChatCall
from omniroute.upstream.send import OutboundRequest

C, A = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC
BOTH = {"reasoningEffort": "low", "serviceTier": "fast"}

CASES: dict[str, tuple[dict[str, Any], Dialect, dict[str, Any], str | None]] = {
    "nothing": ({}, C, {}, None),
    "both": (BOTH, C, {}, "reasoning effort low, service tier priority"),
    "no tiers there": (BOTH, A, {}, "reasoning effort low"),
    "the client's tier": (
        {"serviceTier": "priority"},
        C,
        {"extras": Extras(C, {"service_tier": "flex"})},
        None,
    ),
    "the client's effort": (
        {"reasoningEffort": "low"},
        C,
        {"reasoning": ReasoningRequest(effort="high")},
        None,
    ),
    "another dialect's fields": (
        {"serviceTier": "priority"},
        C,
        {"extras": Extras(A, {"service_tier": "auto"})},
        "service tier priority",
    ),
    "a long context": ({"context1m": True}, A, {}, "a context of 1M tokens"),
    "a long context elsewhere": ({"context1m": True}, C, {}, None),
}


@pytest.mark.parametrize(("said", "dialect", "asked", "told"), CASES.values(), ids=CASES)
def test_what_is_asked_for(
    said: dict[str, Any], dialect: Dialect, asked: dict[str, Any], told: str | None
) -> None:
    plain = chat_call("one/x")
    call = ChatCall("r", plain.caller, msgspec.structs.replace(plain.request, **asked))
    row = account("one-one", "a", options={"requestDefaults": said})
    found = with_defaults(call, row, dialect)
    if told is None:
        assert found is call
    else:
        assert [change.code for change in found.changes] == ["account-defaults"]
        assert found.changes[0].text == f"{told}: as {row.name} is set up"


def _hello(_: OutboundRequest) -> Answer:
    message = {"message": {"content": "ok"}, "finish_reason": "stop"}
    return Answer(pieces=(msgspec.json.encode({"choices": [message]}),))


@pytest.mark.anyio
async def test_it_reaches_the_upstream_and_the_trace(bench: Build) -> None:
    world = snapshot(
        nodes=[node("one", base_url="http://one.test/v1")],
        accounts=[account("one-one", "a", options={"requestDefaults": BOTH})],
    )
    made = bench(world, _hello)
    raw = b'{"model":"one/x","messages":[{"role":"user","content":"Hello"}]}'
    answer = await made.pipeline.complete(chat_call("one/x", dialect=C, body=raw))
    assert [one.code for one in answer.head.changes] == ["account-defaults"]
    body = msgspec.json.decode(made.gate.asked[0].body or b"")
    assert (body["reasoning_effort"], body["service_tier"]) == ("low", "priority")
