"""Provider prompt caches keep working: what a turn adds changes nothing that came before it."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.omniroute.dialects.conversations import conversation

from omniroute.chat import ChatRequest, Dialect, Message, Text
from omniroute.dialects import CODECS
from omniroute.dialects.codec import TargetFacts
from omniroute.errors import InvalidRequest

TARGET = TargetFacts(model="up", reasoning_history=True, developer_role=True)
STREAMED = TargetFacts(model="up", stream=True, reasoning_history=True, developer_role=True)

TURNS = {Dialect.OPENAI_RESPONSES: "input", Dialect.GEMINI: "contents"}
"""Where the conversation stands, where that is not `messages`."""

NEXT: dict[Dialect, list[dict[str, Any]]] = {
    Dialect.GEMINI: [
        {"role": "model", "parts": [{"text": "so"}]},
        {"role": "user", "parts": [{"text": "on"}]},
    ]
}
PLAIN = [{"role": "assistant", "content": "so"}, {"role": "user", "content": "on"}]

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
unknown = st.dictionaries(
    st.text("abcxyz_", min_size=3, max_size=8).map("x_{}".format),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    max_size=3,
)


@st.composite
def bodies(draw: st.DrawFn, dialect: Dialect) -> dict[str, Any]:
    """A client's body of a dialect, its keys in any order, with fields nobody knows."""
    codec = CODECS[dialect]
    chance = Random(draw(st.integers(0, 2**32)))
    while True:
        try:
            wire = json.loads(codec.encode_request(conversation(chance), TARGET))
            break
        except InvalidRequest:
            continue
    wire = {"model": "asked", **wire, **draw(unknown)}
    wire["model"] = "asked"
    return dict(draw(st.permutations(list(wire.items()))))


def written(body: Any, *, ascii_only: bool, spaced: bool) -> str:
    separators = (", ", " : ") if spaced else (",", ":")
    return json.dumps(body, ensure_ascii=ascii_only, separators=separators)


@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("target", [TARGET, STREAMED], ids=["whole", "stream"])
@settings(max_examples=40)
@given(data=st.data(), ascii_only=st.booleans(), spaced=st.booleans())
def test_a_clients_own_words_are_sent_as_it_wrote_them(
    data: st.DataObject, dialect: Dialect, target: TargetFacts, ascii_only: bool, spaced: bool
) -> None:
    body = data.draw(bodies(dialect))
    turns = TURNS.get(dialect, "messages")
    longer = {**body, turns: [*body[turns], *NEXT.get(dialect, PLAIN)]}
    sent = []
    for one in (body, longer):
        text = written(one, ascii_only=ascii_only, spaced=spaced)
        sent.append(CODECS[dialect].patch_request(text.encode(), target).decode())
    for name, value in body.items():
        shown = written(value, ascii_only=ascii_only, spaced=spaced)
        if name not in ("model", "stream", "stream_options"):
            assert shown.removesuffix("]") in sent[1] or name == turns
            assert shown in sent[0]
    # The shorter conversation, up to the bracket that ends it, begins the longer one.
    said = written(body[turns], ascii_only=ascii_only, spaced=spaced).removesuffix("]")
    cut = sent[0].index(said) + len(said)
    assert sent[1].startswith(sent[0][:cut])
    assert [*json.loads(sent[0])] == [*json.loads(sent[1])]
    kept = [name for name in json.loads(sent[0]) if name in body]
    assert kept == [name for name in body if name in kept]


@pytest.mark.parametrize("dialect", CODECS)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_a_translation_of_a_longer_conversation_begins_like_the_shorter(
    dialect: Dialect, seed: int
) -> None:
    codec, turns = CODECS[dialect], TURNS.get(dialect, "messages")
    asked = conversation(Random(seed))
    added = (Message("assistant", (Text("so"),)), Message("user", (Text("on"),)))
    longer = ChatRequest(**{**_fields(asked), "messages": (*asked.messages, *added)})
    try:
        first, second = (json.loads(codec.encode_request(one, TARGET)) for one in (asked, longer))
    except InvalidRequest:
        return
    assert second[turns][: len(first[turns])] == first[turns]
    # Whether and how long a model thinks may depend on the newest turn; what it reads does not.
    for part in ("system", "systemInstruction", "instructions", "tools"):
        assert json.dumps(first.get(part)) == json.dumps(second.get(part))


def _fields(request: ChatRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}
