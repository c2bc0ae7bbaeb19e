"""Conversations that change accounts: a summary is made in time, read once, and kept on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, node, snapshot

from omniroute.caller import Caller, RateRule
from omniroute.chat import ChatRequest, Image, Message, Text, ToolCall, ToolResult
from omniroute.errors import RateLimited
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.handoffs.handoff import (
    Handoff,
    Summary,
    handed_over,
    read_summary,
    summary_request,
)
from omniroute.pipeline.handoffs.handoff_table import HandoffTable
from omniroute.pipeline.handoffs.relay import KEPT_FOR_MS
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.database import Database
from omniroute.storage.secret_box import SecretBox
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

TOLD = {
    "summary": "They plan a trip to <Oslo>.",
    "taskProgress": "Hotel is booked.",
    "keyDecisions": ["Go by train"],
    "activeEntities": ["Oslo"],
}
SUMMARY = Summary("They plan a trip to <Oslo>.", "Hotel is booked.", ("Go by train",), ("Oslo",))


def user(text: str) -> Message:
    return Message("user", (Text(text),))


READ: dict[str, tuple[str, Summary | None]] = {
    "an object": (json.dumps(TOLD), SUMMARY),
    "an object in words": (f"Here it is: ```json\n{json.dumps(TOLD)}\n```", SUMMARY),
    "only what is needed": ('{"summary": "x"}', Summary("x")),
    "no summary": ('{"taskProgress": "x"}', None),
    "an empty one": ('{"summary": ""}', None),
    "half an object": ('{"summary": "x', None),
    "no object": ("I cannot do that.", None),
    "too much of everything": (
        json.dumps(
            {
                "summary": "s" * 3_000,
                "taskProgress": "t" * 3_000,
                "keyDecisions": ["d" * 300] * 9,
                "activeEntities": ["e" * 300] * 11,
            }
        ),
        Summary("s" * 2_000, "t" * 1_200, ("d" * 240,) * 8, ("e" * 240,) * 10),
    ),
}


@pytest.mark.parametrize(("text", "summary"), READ.values(), ids=READ)
def test_read_summary(text: str, summary: Summary | None) -> None:
    assert read_summary(text) == summary


def test_a_summary_is_asked_of_the_end_of_a_conversation() -> None:
    messages = (
        user("too old"),
        user("Where is it?"),
        Message("assistant", (ToolCall("c", "find", '{"what": "it"}'),)),
        Message("tool", (ToolResult("c", (Text("in Oslo"),)),)),
        Message("user", (Text("Thanks"), Image(url="https://a.test/b.png"))),
    )
    asked = summary_request(ChatRequest(model="mix", messages=messages), "one/x", 4)
    assert asked.messages[1].text == (
        'user: Where is it?\n\nassistant: [calls find {"what": "it"}]\n\n'
        "tool: [result: in Oslo]\n\nuser: Thanks"
    )
    assert (asked.model, asked.max_output_tokens, asked.temperature) == ("one/x", 800, 0.1)


def test_no_more_is_read_than_fits() -> None:
    long = ChatRequest(model="m", messages=(user("a" * 40_000), user("the end")))
    text = summary_request(long, "one/x", 30).messages[1].text
    assert text.endswith("user: the end")
    assert len(text) == 8_000 * 4 + len("\n\n")


def test_what_the_next_account_reads() -> None:
    handoff = Handoff(connection="a", summary=SUMMARY, created_at_ms=0, expires_at_ms=1)
    request = handed_over(ChatRequest(model="m", messages=(user("go on"),)), handoff)
    assert request.messages == (
        Message(
            "system",
            (
                Text(
                    "<context_handoff>\n<summary>They plan a trip to &lt;Oslo&gt;.</summary>\n"
                    "<task_progress>Hotel is booked.</task_progress>\n"
                    "<decision>Go by train</decision>\n<entity>Oslo</entity>\n"
                    "</context_handoff>"
                ),
            ),
        ),
        user("go on"),
    )


def world(**config: Any) -> Snapshot:
    return snapshot(
        nodes=[node("one", base_url="http://one.test/v1")],
        accounts=[account("one-one", "a"), account("one-one", "b", priority=2)],
        combos=[combo("relay", "one/x", strategy="context-relay", config=config)],
    )


class Upstream:
    """Answers, with `used` of 100 requests in its headers, after some failures."""

    def __init__(self, used: int = 90, summary: str = json.dumps(TOLD)) -> None:
        self.used, self.summary, self.failures = used, summary, 0
        self.asked: list[list[dict[str, Any]]] = []

    def __call__(self, request: OutboundRequest) -> Answer:
        messages = msgspec.json.decode(request.body or b"")["messages"]
        self.asked.append(messages)
        if self.failures:
            self.failures -= 1
            return Answer(429)
        about = "hand a conversation over" in str(messages[0]["content"])
        message = {"content": self.summary if about else "ok"}
        headers = {
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": str(100 - self.used),
            "x-ratelimit-reset-requests": "1h",
        }
        choice = {"message": message, "finish_reason": "stop"}
        return Answer(200, headers, (msgspec.json.encode({"choices": [choice]}),))


def saying(text: str, session: str = "s", model: str = "relay", key: str = "k") -> ChatCall:
    call = chat_call(model, caller=Caller(door="http", key_id=key))
    request = msgspec.structs.replace(call.request, messages=(user(text),))
    return ChatCall("r", call.caller, request, headers={"x-session-id": session})


async def ask(made: Bench, call: ChatCall) -> list[str]:
    """The codes of what was changed in a request; waits for what it has set going."""
    answer = await made.pipeline.complete(call)
    await made.pipeline.relay.settled()
    return [change.code for change in answer.head.changes]


def rest(upstream: Upstream) -> None:
    """The account that is asked next fails once, so that the other takes over."""
    upstream.failures = 1
    upstream.asked.clear()


async def test_the_next_account_reads_a_summary_once(bench: Build) -> None:
    upstream = Upstream()
    made = bench(world(), upstream)
    assert await ask(made, saying("we go to Oslo")) == []
    assert len(upstream.asked) == 2, "the answer, and the summary in the background"
    assert await ask(made, saying("by train")) == [], "the same account needs no summary"
    assert len(upstream.asked) == 3, "one summary is enough"
    rest(upstream)
    assert await ask(made, saying("and now?")) == ["handoff"]
    first, second = upstream.asked[:2]
    assert [row["content"] for row in first] == ["and now?"]
    assert [row["role"] for row in second] == ["system", "user"]
    assert "trip to &lt;Oslo&gt;" in second[0]["content"]
    assert len(upstream.asked) == 3, "the account that took over is low on quota, too"
    made.clock[0] += 1
    upstream.used = 10
    assert await ask(made, saying("thanks")) == [], "what was read is gone"


async def test_a_summary_takes_nothing_of_how_often_its_key_may_ask(bench: Build) -> None:
    upstream = Upstream()
    made = bench(world(), upstream)
    call = saying("we go to Oslo")
    caller = msgspec.structs.replace(call.caller, rate_rules=(RateRule(2, 60),))
    for _ in range(2):
        await ask(made, replace(call, caller=caller))
    with pytest.raises(RateLimited):
        await ask(made, replace(call, caller=caller))
    assert len(upstream.asked) == 3, "two answers and a summary"


async def test_a_summary_is_an_ordinary_request_of_its_key(bench: Build) -> None:
    made = bench(world(), Upstream())
    await ask(made, saying("we go to Oslo"))
    rows = [record.trace for record in made.records]
    assert [(row.api_key_id, row.request_id, row.success) for row in rows] == [
        ("k", "r", True),
        ("k", "summary-request", True),
    ]


NOT_DUE: dict[str, tuple[int, dict[str, Any], str, str]] = {
    "much is left": (84, {}, "s", "relay"),
    "hardly anything is left": (95, {}, "s", "relay"),
    "the threshold is higher": (90, {"handoffThreshold": 0.92}, "s", "relay"),
    "another provider's quota counts": (90, {"handoffProviders": ["two"]}, "s", "relay"),
    "no session is named": (90, {}, "", "relay"),
    "no combo is asked": (90, {}, "s", "one/x"),
}


@pytest.mark.parametrize(("used", "config", "session", "model"), NOT_DUE.values(), ids=NOT_DUE)
async def test_no_summary_is_made_when(
    bench: Build, used: int, config: dict[str, Any], session: str, model: str
) -> None:
    upstream = Upstream(used)
    await ask(bench(world(**config), upstream), saying("hi", session, model))
    assert len(upstream.asked) == 1


async def test_a_summary_that_cannot_be_read_is_none(bench: Build) -> None:
    upstream = Upstream(summary="I would rather not.")
    made = bench(world(), upstream)
    await ask(made, saying("we go to Oslo"))
    rest(upstream)
    assert await ask(made, saying("and now?")) == []


async def test_another_session_and_another_key_read_nothing(bench: Build) -> None:
    upstream = Upstream()
    made = bench(world(), upstream)
    await ask(made, saying("we go to Oslo"))
    rest(upstream)
    assert await ask(made, saying("x", session="other")) == []
    assert await ask(made, saying("x", key="other")) == []


async def test_a_summary_is_no_longer_read_when_the_quota_starts_afresh(bench: Build) -> None:
    upstream = Upstream()
    made = bench(world(), upstream)
    await ask(made, saying("we go to Oslo"))
    made.clock[0] += KEPT_FOR_MS
    rest(upstream)
    assert await ask(made, saying("and now?")) == []


async def test_summaries_are_kept_on_disk(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path / 'x.db'}", tmp_path, SecretBox(bytes(32)))
    clock = [1_000]
    table = HandoffTable(database, lambda: clock[0])
    handoff = Handoff(connection="a", summary=SUMMARY, created_at_ms=0, expires_at_ms=2_000)
    for session in ("s", "t"):
        await table.put(session, "relay", handoff)
    await table.put("s", "relay", handoff)
    await table.drop("t", "relay")
    assert await table.all() == {("s", "relay"): handoff}
    clock[0] = 2_000
    assert await table.all() == {}
    await database.close()
