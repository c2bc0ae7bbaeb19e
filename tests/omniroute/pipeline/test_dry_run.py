"""The dry run is the run: over random configurations and states both name the same targets."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.omniroute.conftest import Answer, Bench, build_bench, chat_call
from tests.support.builders import account, combo, node, reference, snapshot

from omniroute.errors import OmniRouteError
from omniroute.routing.health import Breaker, Cooldown, HealthView, Lockout
from omniroute.routing.plan import Plan, RouteFacts, plan
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records import Combo, ComboStep
from omniroute.upstream.send import OutboundRequest

PREFIXES = ("one", "two", "three")
MODELS = ("x", "y")
COMBOS = ("c0", "c1", "c2")
NOW_MS = 1_800_000_000_000

accounts = st.lists(
    st.tuples(st.sampled_from(PREFIXES), st.integers(1, 3), st.booleans()), max_size=6
)
models = st.tuples(st.sampled_from(PREFIXES), st.sampled_from(MODELS)).map("/".join)
targets = st.one_of(models, st.sampled_from(COMBOS).map(reference))
strategies = st.sampled_from(["priority", "random", "p2c"])
combos = st.lists(st.tuples(st.lists(targets, max_size=4), strategies), min_size=3, max_size=3)
places = st.tuples(st.sampled_from(PREFIXES), st.integers(0, 5), st.sampled_from(MODELS))
troubles = st.lists(
    st.tuples(st.sampled_from(["cooldown", "terminal", "lockout", "open"]), places), max_size=5
)
asked = st.one_of(models, st.sampled_from([*COMBOS, "auto"]))


def build_world(
    owned: Sequence[tuple[str, int, bool]],
    named: Sequence[tuple[Sequence[str | ComboStep], str]],
) -> Snapshot:
    made: list[Combo] = [
        combo(name, *steps, strategy=strategy)
        for name, (steps, strategy) in zip(COMBOS, named, strict=True)
    ]
    return snapshot(
        nodes=[node(prefix, base_url=f"http://{prefix}.test/v1") for prefix in PREFIXES],
        accounts=[
            account(
                f"{prefix}-{prefix}",
                f"a{number}",
                priority=priority,
                is_active=active,
                default_model="x",
            )
            for number, (prefix, priority, active) in enumerate(owned)
        ],
        combos=made,
    )


def build_health(found: Sequence[tuple[str, tuple[str, int, str]]]) -> HealthView:
    breakers, cooldowns, lockouts = {}, {}, {}
    for kind, (prefix, number, model) in found:
        provider, connection = f"{prefix}-{prefix}", f"a{number}"
        if kind == "open":
            breakers[provider] = Breaker(tripped=True, last_failure_ms=NOW_MS)
        elif kind == "lockout":
            lockouts[provider, connection, model] = Lockout(
                until_ms=NOW_MS + 10**6, failures=1, reason="unknown_model"
            )
        else:
            cooldowns[connection] = Cooldown(
                until_ms=NOW_MS + 10**6,
                level=1,
                reason="server_error",
                message="",
                status=500,
                terminal="banned" if kind == "terminal" else None,
            )
    return HealthView(NOW_MS, breakers, cooldowns, lockouts)


def with_health(made: Bench, view: HealthView) -> None:
    """Put a pipeline's health into a state."""
    made.health._breakers = dict(view.breakers)
    made.health._cooldowns = dict(view.cooldowns)
    made.health._lockouts = dict(view.lockouts)


def context_overflow(_: OutboundRequest) -> Answer:
    """A failure that leaves no mark on anybody's health and moves to the next target."""
    body = msgspec.json.encode({"error": {"message": "x", "code": "context_length_exceeded"}})
    return Answer(400, {}, (body,))


@settings(max_examples=150, deadline=None)
@given(owned=accounts, named=combos, found=troubles, model=asked, seed=st.integers(0, 2**31))
def test_the_plan_names_what_the_run_tries(
    owned: list[tuple[str, int, bool]],
    named: list[tuple[list[Any], str]],
    found: list[tuple[str, tuple[str, int, str]]],
    model: str,
    seed: int,
) -> None:
    world, view = build_world(owned, named), build_health(found)
    made: Bench = build_bench(world, context_overflow, seed=seed)
    with_health(made, view)
    try:
        planned: Plan | None = plan(RouteFacts(model=model), world, view, seed)
    except OmniRouteError as refused:
        planned, told = None, str(refused)
    try:
        asyncio.run(made.pipeline.complete(chat_call(model)))
        heard = None
    except OmniRouteError as error:
        heard = str(error)
    trace = msgspec.json.decode(made.records[0].trace.data, type=RouteTrace)
    if planned is None:
        assert (trace.attempts, heard) == ((), told)
        return
    assert trace.plan == planned
    tried = [(row.provider, row.model, row.connection) for row in trace.attempts]
    candidates = [(row.provider, row.model, row.connection) for row in planned.candidates]
    assert tried[:1] == candidates[:1]
    expected: list[tuple[str, str, str]] = []
    for place in candidates:
        if place[:2] not in {(provider, name) for provider, name, _ in expected}:
            expected.append(place)
    assert tried == expected
    assert (heard is None) == any(provider == "demo" for provider, _, _ in candidates)
    assert made.ledger.open_reservations == 0
