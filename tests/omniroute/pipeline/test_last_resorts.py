"""Who is asked after everything that was planned has failed, and who never is."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, combo, node, snapshot

from omniroute.caller import Caller
from omniroute.chat import Tool
from omniroute.errors import UpstreamFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.plan import plan
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import RouteFacts
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.money import BudgetRow
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

NOT_THERE = b'{"error":{"message":"The model does not exist","code":"model_not_found"}}'
TOO_LONG = b'{"error":{"message":"too long","code":"context_length_exceeded"}}'
NO_MONEY = b'{"error":{"message":"out of credits"}}'
EMERGENCY = "openai/gpt-oss-120b"


def world(*, budgets: list[BudgetRow] | None = None, **settings: Any) -> Snapshot:
    listed = {"models": ["a", "b", "c", "d"]}
    return snapshot(
        nodes=[node(name, base_url=f"http://{name}.test/v1") for name in ("one", "two", "last")],
        accounts=[
            account("one-one", "one", options=listed),
            account("two-two", "two"),
            account("last-last", "last"),
            account("nvidia", "rescue"),
        ],
        combos=[combo("mix", "one/a", "two/y")],
        budgets=budgets or (),
        **{"modelFamilies": {"families": [["d", "a", "b", "c"]]}, **settings},
    )


Answers = dict[str, Answer]


def saying(**by_model: tuple[int, bytes]) -> Callable[[OutboundRequest], Answer]:
    """Failures by model; everything else answers."""

    def answers(request: OutboundRequest) -> Answer:
        model = msgspec.json.decode(request.body or b"")["model"]
        found = by_model.get(model.replace("/", "_").replace("-", "_"))
        if found is not None:
            return Answer(found[0], pieces=(found[1],))
        message = {"message": {"content": f"I am {model}"}, "finish_reason": "stop"}
        return Answer(pieces=(msgspec.json.encode({"choices": [message]}),))

    return answers


def trace(made: Bench) -> RouteTrace:
    return msgspec.json.decode(made.records[-1].trace.data, type=RouteTrace)


WAYS: dict[str, tuple[str, dict[str, Any], dict[str, tuple[int, bytes]], list[str]]] = {
    "the nearest relative stands in": (
        "one/a", {}, {"a": (404, NOT_THERE)}, ["a", "d"],
    ),
    "each relative is tried once": (
        "one/a", {}, dict.fromkeys("adb", (404, NOT_THERE)), ["a", "d", "b", "c"],
    ),
    "a relative stands in for a window that is too small": (
        "one/a", {}, {"a": (400, TOO_LONG)}, ["a", "d"],
    ),
    "families can be switched off": (
        "one/a", {"modelFamilies": {"enabled": False}}, {"a": (404, NOT_THERE)}, ["a"],
    ),
    "a combo has its own order": ("mix", {}, {"a": (404, NOT_THERE)}, ["a", "y"]),
    "a fallback for all combos": (
        "mix", {"globalFallbackModel": "last/z"}, {"a": (500, b""), "y": (503, b"")},
        ["a", "y", "z"],
    ),
    "not when the request is at fault": (
        "mix", {"globalFallbackModel": "last/z"}, {"a": (400, b"{}")}, ["a"],
    ),
    "not for one model": (
        "one/a", {"globalFallbackModel": "last/z"}, {"a": (503, b"")}, ["a"],
    ),
    "a setting that names nothing is passed over": (
        "mix", {"globalFallbackModel": "nobody/z"}, {"a": (500, b""), "y": (503, b"")}, ["a", "y"],
    ),
    "the emergency model when money has run out": (
        "one/a", {}, {"a": (402, NO_MONEY)}, ["a", EMERGENCY],
    ),
    "for combos, too": (
        "mix", {}, {"a": (402, NO_MONEY), "y": (402, NO_MONEY)}, ["a", "y", EMERGENCY],
    ),
    "not when it is switched off": (
        "one/a", {"emergencyFallback": {"enabled": False}}, {"a": (402, NO_MONEY)}, ["a"],
    ),
    "not when nobody lacks money": ("one/a", {}, {"a": (429, b"")}, ["a"]),
}  # fmt: skip


@pytest.mark.parametrize(("model", "settings", "failures", "asked"), WAYS.values(), ids=WAYS)
async def test_who_is_asked(
    bench: Build,
    model: str,
    settings: dict[str, Any],
    failures: dict[str, tuple[int, bytes]],
    asked: list[str],
) -> None:
    made = bench(world(**settings), saying(**failures))
    answers = asked[-1] not in failures
    try:
        answer = await made.pipeline.complete(chat_call(model))
    except UpstreamFailed:
        assert not answers
    else:
        assert (answers, answer.reply.text) == (True, f"I am {asked[-1]}")
    sent = [msgspec.json.decode(request.body or b"")["model"] for request in made.gate.asked]
    assert sent == asked
    assert made.ledger.open_reservations == 0


async def test_the_answer_says_who_stood_in(bench: Build) -> None:
    made = bench(world(), saying(a=(404, NOT_THERE)))
    answer = await made.pipeline.complete(chat_call("one/a"))
    assert [(one.code, one.text) for one in answer.head.changes] == [
        ("model-fallback", "d stands in for a")
    ]
    assert trace(made).changes == answer.head.changes
    assert trace(made).attempts[1].reasons == ("stands in for a, which is not there or too small",)


async def test_when_no_relative_is_there_the_first_failure_is_told(bench: Build) -> None:
    wrong = (400, b'{"error":{"message":"messages are wrong"}}')
    made = bench(world(), saying(a=(404, NOT_THERE), d=wrong))
    with pytest.raises(UpstreamFailed, match="does not exist") as told:
        await made.pipeline.complete(chat_call("one/a"))
    assert told.value.status == 404


async def test_the_emergency_answer_is_short_and_without_tools(bench: Build) -> None:
    made = bench(world(), saying(a=(402, NO_MONEY)))
    await made.pipeline.complete(chat_call("one/a"))
    assert msgspec.json.decode(made.gate.asked[1].body or b"")["max_tokens"] == 4_096
    call = chat_call("two/y")
    tools = msgspec.structs.replace(call.request, tools=(Tool("t"),))
    made = bench(world(), saying(y=(402, NO_MONEY)))
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(ChatCall("r", call.caller, tools))


async def test_an_account_without_money_is_passed_over_at_once(bench: Build) -> None:
    made = bench(world(), saying(a=(402, NO_MONEY)))
    for _ in range(2):
        answer = await made.pipeline.complete(chat_call("one/a"))
        assert answer.head.chosen.model == EMERGENCY
    assert len(made.gate.asked) == 3, "the second request does not ask the first model again"


async def test_a_key_gets_no_model_it_may_not_use(bench: Build) -> None:
    made = bench(world(), saying(a=(404, NOT_THERE), y=(402, NO_MONEY)))
    for model in ("one/a", "two/y"):
        caller = Caller(door="http", key_id="k", allowed_models=(model,))
        with pytest.raises(UpstreamFailed):
            await made.pipeline.complete(chat_call(model, caller=caller))
    assert len(made.gate.asked) == 2


def limit(micro_usd: int) -> BudgetRow:
    return BudgetRow(scope_kind="key", scope_id="key-1", total_micro_usd=micro_usd)


async def test_a_dearer_relative_is_not_asked_with_money_that_was_not_set_aside(
    bench: Build,
) -> None:
    there = snapshot(
        accounts=[account("openai", "mine")],
        budgets=[limit(10_000_000)],
        modelFamilies={"families": [["gpt-4o-mini", "gpt-4o"]]},
    )
    made = bench(there, saying(gpt_4o_mini=(404, NOT_THERE)))
    with pytest.raises(UpstreamFailed):
        await made.pipeline.complete(chat_call("openai/gpt-4o-mini"))
    assert len(made.gate.asked) == 1


def test_what_stands_by_is_part_of_the_plan(bench: Build) -> None:
    there = world(globalFallbackModel="last/z")
    made = bench(there, saying())
    found = plan(RouteFacts(model="mix"), there, made.pipeline.live.world(), 1)
    assert [(row.provider, row.when) for row in found.standby] == [
        ("last-last", "combo_unavailable"),
        ("nvidia", "out_of_money"),
    ]
