"""What is done otherwise for single models: for all clients, and for those of one protocol."""

from typing import Any

import msgspec
import pytest
from tests.support.builders import account, snapshot

from omniroute.catalog.providers import PROVIDERS
from omniroute.chat import ChatRequest, Message, Text, ToolCall
from omniroute.dialects import CODECS
from omniroute.dialects.adaptation import adapted
from omniroute.pipeline.outbound import own_headers, target_facts
from omniroute.storage.records.configuration import Compat, ModelCompat, Protocol

MODEL = ModelCompat(
    provider="groq",
    id="m",
    normalize_tool_call_id=True,
    upstream_headers={"X-Team": "all"},
    compat_by_protocol={
        "openai": Compat(
            preserve_openai_developer_role=True, upstream_headers={"X-Protocol": "openai"}
        ),
        "claude": Compat(normalize_tool_call_id=False, upstream_headers={"X-Team": "claude"}),
    },
)

HELD: dict[str, tuple[Protocol | None, int | None, bool, dict[str, str]]] = {
    "of no protocol": (None, 9, False, {"x-team": "all"}),
    "of one nothing is said of": ("openai-responses", 9, False, {"x-team": "all"}),
    "its own beside": ("openai", 9, True, {"x-team": "all", "x-protocol": "openai"}),
    "its own instead": ("claude", None, False, {"x-team": "claude"}),
}


@pytest.mark.parametrize(("protocol", "chars", "developer", "headers"), HELD.values(), ids=HELD)
def test_what_holds_for_a_client(
    protocol: Protocol | None, chars: int | None, developer: bool, headers: dict[str, str]
) -> None:
    world = snapshot(accounts=[account("groq", "a")], compat=[MODEL])
    compat = world.compat_for("groq", "m", protocol)
    facts = target_facts(
        PROVIDERS["groq"], world.connections["a"], "m", stream=False, compat=compat
    )
    assert (facts.call_id_chars, facts.developer_role) == (chars, developer)
    assert own_headers(world.connections["a"], compat) == headers
    assert world.compat_for("groq", "other", protocol) == Compat()


def test_what_is_sent_is_what_was_told() -> None:
    compat = Compat(normalize_tool_call_id=True, preserve_openai_developer_role=True)
    row = account("groq", "a", options={"customUserAgent": "agent/1"})
    facts = target_facts(PROVIDERS["groq"], row, "m", stream=False, compat=compat)
    request = ChatRequest(
        "m",
        (
            Message("system", (Text("Be short."),)),
            Message("user", (Text("Hi"),)),
            Message("assistant", (ToolCall("call_a_very_long_id", "f", "{}"),)),
        ),
    )
    codec = CODECS[PROVIDERS["groq"].dialect]
    wire: dict[str, Any] = msgspec.json.decode(codec.encode_request(adapted(request, facts), facts))
    assert wire["messages"][0]["role"] == "developer"
    assert len(wire["messages"][2]["tool_calls"][0]["id"]) == 9
    assert own_headers(row, compat) == {"user-agent": "agent/1"}


def test_a_provider_that_insists_on_ids_keeps_its_length() -> None:
    facts = target_facts(
        PROVIDERS["mistral"],
        account("mistral", "a"),
        "m",
        stream=False,
        compat=Compat(normalize_tool_call_id=True),
    )
    assert facts.call_id_chars == 9
