"""A past request planned again: the same from its trace, and what a changed configuration does."""

import re

import pytest

from omniroute.caller import Caller
from omniroute.catalog.overrides import StatedPrice
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound
from omniroute.operations.chats import chat
from omniroute.operations.combos.combos import ComboInput, create_combo, delete_combo
from omniroute.operations.routing.proposals import Proposal, proposed
from omniroute.operations.routing.replay import Difference, ReplayQuery, replay_route
from omniroute.pipeline.exchange import ChatCall

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="http", is_operator=True)
MINE, OTHER = Caller(door="http", key_id="mine"), Caller(door="http", key_id="other")


async def asked(engine: Engine, model: str, request_id: str = "r") -> None:
    """One request of ours."""
    messages = (Message("user", (Text("one two"),)),)
    await chat.complete(
        engine, ChatCall(request_id, MINE, ChatRequest(model=model, messages=messages))
    )


async def stored(engine: Engine, *models: str, strategy: str = "priority") -> str:
    """The combo `mix`, as it is now; its id."""
    for old in engine.snapshot.combos.values():
        await delete_combo(engine, OPERATOR, old.id)
    made = await create_combo(
        engine,
        OPERATOR,
        ComboInput(name="mix", models=list(models), strategy=strategy),  # type: ignore[arg-type]
    )
    return made.id


@pytest.mark.parametrize("strategy", ["random", "weighted", "round-robin", "p2c", "auto"])
async def test_every_request_replays_bit_for_bit(engine: Engine, strategy: str) -> None:
    await stored(engine, "demo/echo", "demo/flaky-500", "demo/count-3", strategy=strategy)
    for number in range(12):
        await asked(engine, "mix", f"r{number}")
    for number in range(12):
        found = await replay_route(engine, OPERATOR, ReplayQuery(f"r{number}"))
        assert (found.identical, found.differences) == (True, ())


async def test_an_unchanged_configuration_gives_the_same_plan(engine: Engine) -> None:
    await stored(engine, "demo/echo", "demo/count-3", strategy="round-robin")
    await asked(engine, "mix", "first")
    await asked(engine, "mix", "second")
    found = await replay_route(engine, OPERATOR, ReplayQuery("first", "current"))
    assert (found.identical, found.recorded[0].model) == (True, "echo")


async def test_a_changed_configuration_shows_what_differs_and_what_it_costs(
    engine: Engine,
) -> None:
    await stored(engine, "demo/echo", "demo/flaky-500")
    await asked(engine, "mix")
    await stored(engine, "demo/count-3", "demo/echo")
    found = await replay_route(engine, MINE, ReplayQuery("r", "current"))
    assert found.differences == (
        Difference(1, "demo/echo@demo", "demo/count-3@demo"),
        Difference(2, "demo/flaky-500@demo", "demo/echo@demo"),
    )
    assert (found.identical, found.cost_recorded, found.cost_replayed) == (False, 0.0, 0.0)
    assert found.notes == ("demo/count-3 was not looked at then: taken as healthy",)
    told = re.sub(r"seed \d+", "seed 0", found.text).split("\n")
    assert told == [
        "Request r, planned again from the current configuration with seed 0.",
        "Place 1: demo/echo@demo -> demo/count-3@demo",
        "Place 2: demo/flaky-500@demo -> demo/echo@demo",
        "Note: demo/count-3 was not looked at then: taken as healthy.",
        "Cost then $0.000000, now $0.000000.",
    ]


async def test_a_request_that_would_be_refused_now_says_so(engine: Engine) -> None:
    combo_id = await stored(engine, "demo/echo")
    await asked(engine, "mix")
    await delete_combo(engine, OPERATOR, combo_id)
    found = await replay_route(engine, OPERATOR, ReplayQuery("r", "current"))
    assert (found.identical, found.replayed, found.cost_replayed) == (False, (), None)
    assert found.notes[0].startswith("refused now: No credentials are configured")


async def test_nobody_replays_what_is_not_theirs(engine: Engine) -> None:
    await asked(engine, "demo/echo")
    for caller, request_id in ((OTHER, "r"), (OPERATOR, "unknown")):
        with pytest.raises(NotFound, match="is recorded"):
            await replay_route(engine, caller, ReplayQuery(request_id))


async def test_a_request_without_a_plan_cannot_be_replayed(engine: Engine) -> None:
    with pytest.raises(InvalidRequest):
        await asked(engine, "nobody/x")
    with pytest.raises(NotFound, match="refused before it was planned"):
        await replay_route(engine, OPERATOR, ReplayQuery("r"))


async def test_changes_that_are_only_proposed_are_tried_on_the_past(engine: Engine) -> None:
    await stored(engine, "demo/echo", "demo/flaky-500")
    await asked(engine, "mix")
    before = engine.snapshot
    proposal = Proposal(
        combos=[ComboInput(name="mix", models=["demo/count-3", "demo/echo"])],
        settings={"fallbackStrategy": "random"},
    )
    found = await replay_route(engine, MINE, ReplayQuery("r", "current", proposal))
    assert (found.against, found.identical) == ("proposal", False)
    assert [row.replayed for row in found.differences] == ["demo/count-3@demo", "demo/echo@demo"]
    assert found.text.startswith("Request r, planned again from the proposed configuration")
    assert engine.snapshot is before, "nothing is stored"


async def test_a_proposal_without_the_combo_would_refuse(engine: Engine) -> None:
    await stored(engine, "demo/echo")
    await asked(engine, "mix")
    query = ReplayQuery("r", "current", Proposal(without_combos=["mix"]))
    found = await replay_route(engine, OPERATOR, query)
    assert (found.replayed, found.notes[0].startswith("refused now")) == ((), True)


async def test_proposed_prices_are_laid_over_those_in_force(engine: Engine) -> None:
    prices = {"openai": {"gpt-4o-mini": StatedPrice(input=1_000)}}
    found = proposed(engine, Proposal(pricing=prices)).price("openai", "gpt-4o-mini")
    known = engine.snapshot.price("openai", "gpt-4o-mini")
    assert found is not None
    assert known is not None
    assert (found.input.base, found.output) == (1_000_000_000, known.output)


BAD_PROPOSALS = {
    "an unknown setting": Proposal(settings={"fallbackStragety": "random"}),
    "an unknown provider": Proposal(pricing={"opnai": {"m": StatedPrice(input=1)}}),
    "a combo in itself": Proposal(combos=[ComboInput(name="loop", models=["loop"])]),
}


@pytest.mark.parametrize("proposal", BAD_PROPOSALS.values(), ids=BAD_PROPOSALS)
async def test_what_could_not_be_stored_cannot_be_proposed(
    engine: Engine, proposal: Proposal
) -> None:
    await asked(engine, "demo/echo")
    with pytest.raises(InvalidRequest):
        await replay_route(engine, OPERATOR, ReplayQuery("r", "current", proposal))


async def test_a_proposal_that_changes_nothing_is_the_configuration(engine: Engine) -> None:
    assert proposed(engine, Proposal()) == engine.snapshot
