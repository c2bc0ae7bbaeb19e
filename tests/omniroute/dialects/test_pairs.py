"""Every ordered pair of dialects loses what the tables of losses name, and nothing else."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.omniroute.dialects.conversations import (
    Facts,
    conversation,
    facts_of,
    facts_of_reply,
    reply,
)
from tests.support.builders import asking

from omniroute.chat import (
    ChatReply,
    ChatRequest,
    Dialect,
    Event,
    Message,
    Reasoning,
    Text,
    ToolCall,
    collect,
)
from omniroute.dialects import CODECS
from omniroute.dialects.codec import Codec, TargetFacts
from omniroute.dialects.losses import ADDED, REPLY_LOSSES, REQUEST_LOSSES, Loss, losses
from omniroute.errors import InvalidRequest

TARGET = TargetFacts(model="m", structured_output=True, reasoning_history=True)
PAIRS = [(source, target) for source in CODECS for target in CODECS]
every_pair = pytest.mark.parametrize(
    ("source", "target"), PAIRS, ids=[f"{a} to {b}" for a, b in PAIRS]
)
chances = st.integers(0, 2**32).map(Random)


def translated(chance: Random, source: Dialect, target: Dialect) -> tuple[Facts, Facts] | None:
    """What a client of `source` says, and what arrives at `target`; None when that is refused."""
    client, upstream = CODECS[source], CODECS[target]
    try:
        asked = conversation(chance)
        said = client.decode_request(client.encode_request(asked, TARGET))
        arrived = upstream.decode_request(upstream.encode_request(said, TARGET))
    except InvalidRequest:
        return None
    return facts_of(said, {}), facts_of(arrived, upstream.tool_names(said))


def answered(chance: Random, source: Dialect, target: Dialect) -> Iterator[tuple[Facts, Facts]]:
    """What an upstream of `source` answers and what a client of `target` hears, both ways."""
    upstream, client = CODECS[source], CODECS[target]
    events = reply(chance)
    told = upstream.decode_reply(upstream.encode_reply(collect(events), asking()))
    heard = client.decode_reply(client.encode_reply(collect(told), asking()))
    yield facts_of_reply(collect(told)), facts_of_reply(collect(heard))
    told = streamed(upstream, events)
    yield facts_of_reply(collect(told)), facts_of_reply(collect(streamed(client, told)))


def streamed(codec: Codec, events: list[Event]) -> list[Event]:
    encoder = codec.encoder(asking(include_usage=True))
    wire = b"".join(map(encoder.feed, events)) + encoder.close()
    splitter, decoder = codec.splitter(), codec.decoder()
    frames = [*splitter.feed(wire), *splitter.close()]
    return [event for frame in frames for event in decoder.feed(frame)]


def changed(before: Facts, after: Facts) -> set[str]:
    return {thing for thing in {*before, *after} if before.get(thing) != after.get(thing)}


def unexplained(
    before: Facts, after: Facts, named: dict[str, Loss], target: Dialect
) -> dict[str, Any]:
    """What changed that no loss names and nothing that was lost has become."""
    allowed = {*named, *ADDED.get(target, ())}
    allowed |= {thing for loss in named.values() for thing in loss.into}
    return {
        thing: (before.get(thing), after.get(thing)) for thing in changed(before, after) - allowed
    }


@every_pair
@settings(max_examples=80)
@given(chance=chances)
def test_requests_lose_what_is_named(chance: Random, source: Dialect, target: Dialect) -> None:
    found = translated(chance, source, target)
    if found is not None:
        assert unexplained(*found, losses(REQUEST_LOSSES, source, target), target) == {}


@every_pair
@settings(max_examples=50)
@given(chance=chances)
def test_replies_lose_what_is_named(chance: Random, source: Dialect, target: Dialect) -> None:
    for found in answered(chance, source, target):
        assert unexplained(*found, losses(REPLY_LOSSES, source, target), target) == {}


@pytest.mark.parametrize("target", CODECS)
def test_no_loss_is_named_that_does_not_happen(target: Dialect) -> None:
    seen: set[str] = set()
    heard: set[str] = set()
    for number in range(600):
        for source in CODECS:
            found = translated(Random(number), source, target)
            seen |= changed(*found) if found is not None and source is not target else set()
            if number < 200 and source is not target:
                for told in answered(Random(number), source, target):
                    heard |= changed(*told)
    # Signatures are in the replies of a provider, and have tests of their own.
    assert REQUEST_LOSSES[target].keys() - seen <= {"thinking signature"}
    assert REPLY_LOSSES[target].keys() - heard == set()


def echoed(codec: Codec, told: ChatReply) -> ChatRequest:
    """The next request of a client that returns what it was given as it was given."""
    wire = json.loads(codec.encode_reply(told, asking()))
    user = {"role": "user", "content": "Hi"}
    match codec.dialect:
        case Dialect.OPENAI_CHAT:
            body: Any = {"messages": [user, wire["choices"][0]["message"]]}
        case Dialect.OPENAI_RESPONSES:
            body = {"input": [user, *wire["output"]]}
        case Dialect.ANTHROPIC:
            body = {"messages": [user, {"role": "assistant", "content": wire["content"]}]}
        case Dialect.GEMINI:
            asked = {"role": "user", "parts": [{"text": "Hi"}]}
            body = {"contents": [asked, wire["candidates"][0]["content"]]}
        case _:
            body = {"messages": [user, wire["message"]]}
    return codec.decode_request(json.dumps({"model": "m", **body}).encode())


STATES = {
    "signed thinking of Anthropic": Reasoning("hm", "c2ln", origin=Dialect.ANTHROPIC),
    "hidden thinking of Anthropic": Reasoning(redacted="cmVk", origin=Dialect.ANTHROPIC),
    "a signature of Gemini": Reasoning(signature="c2ln", origin=Dialect.GEMINI),
    "sealed reasoning of OpenAI": Reasoning(
        "hm", "c2ln", origin=Dialect.OPENAI_RESPONSES, id="rs_1"
    ),
}
CARRIERS = [dialect for dialect in CODECS if dialect is not Dialect.OLLAMA]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_state_returns_through_clients_of_every_dialect(state: Reasoning, carrier: Dialect) -> None:
    told = ChatReply("up", "m", 1, (state, ToolCall("call_1", "look", "{}")), "tool_calls")
    back = echoed(CODECS[carrier], told)
    thoughts = [p for m in back.messages for p in m.parts if isinstance(p, Reasoning)]
    assert [(one.text, one.signature, one.redacted, one.origin) for one in thoughts] == [
        (state.text, state.signature, state.redacted, state.origin)
    ]


@pytest.mark.parametrize("target", CODECS)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_state_reaches_nobody_but_its_author(state: Reasoning, target: Dialect) -> None:
    turns = (Message("user", (Text("Hi"),)), Message("assistant", (state, Text("Ho"))))
    asked = ChatRequest(model="m", messages=(*turns, Message("user", (Text("?"),))))
    wire = CODECS[target].encode_request(asked, TARGET)
    opaque = (state.signature or state.redacted or "").encode()
    assert (opaque in wire) == (target is state.origin)
