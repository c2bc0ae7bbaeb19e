"""The dry run is the run: over random configurations and states both name the same targets."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias, cast

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.omniroute.conftest import Answer, Bench, build_bench, chat_call
from tests.support.builders import account, combo, node, reference, snapshot

from omniroute.caller import Caller
from omniroute.catalog.quota_report import QuotaReport, QuotaWindow
from omniroute.engine import Configuration, Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.routing.simulation import SimulateQuery, Simulation, simulate_route
from omniroute.routing.plan import from_survey
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.recorded import RecordedWorld
from omniroute.routing.resilience.health import BREAKER_RESET_MS, Breaker, Cooldown, Health, Lockout
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.strategies import STRATEGIES
from omniroute.routing.survey import survey
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.configuration import ComboStep
from omniroute.upstream.send import OutboundRequest

NODES = ("one", "two")
# Providers by the prefix that names them; two are nodes, two are of the catalogue.
PROVIDERS = {"one": "one-one", "two": "two-two", "groq": "groq", "ds": "deepseek"}
HOSTS = {
    "one.test": "one-one",
    "two.test": "two-two",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "in-process": "demo",
}
MODELS = ("x", "y")
COMBOS = ("c0", "c1", "c2")
ACCOUNTS = tuple(f"a{number}" for number in range(6))
NOW_MS = 1_800_000_000_000

prefixes, model_names = st.sampled_from(sorted(PROVIDERS)), st.sampled_from(MODELS)
models = st.one_of(
    st.tuples(prefixes, model_names).map("/".join), st.sampled_from(["demo/echo", "demo/tools"])
)
mostly = st.sampled_from([True, True, True, False])
accounts = st.lists(
    st.tuples(prefixes, st.integers(1, 3), mostly), min_size=2, max_size=len(ACCOUNTS)
)
steps = st.lists(st.one_of(models, st.sampled_from(COMBOS).map(reference)), min_size=1, max_size=5)
limits = st.sampled_from([(), (), (), ("one-one", "groq"), ("demo", "two-two")])
combos = st.lists(
    st.tuples(steps, limits, st.sampled_from(sorted(STRATEGIES))),
    min_size=len(COMBOS),
    max_size=len(COMBOS),
)
untils = st.sampled_from([NOW_MS - 1, NOW_MS, NOW_MS + 1_000_000])
places = st.tuples(prefixes.map(PROVIDERS.__getitem__), st.sampled_from(ACCOUNTS), model_names)
breakers = st.builds(
    Breaker,
    tripped=st.booleans(),
    probing=st.booleans(),
    last_failure_ms=st.sampled_from([NOW_MS, NOW_MS - BREAKER_RESET_MS]),
)
cooldowns = st.builds(
    Cooldown,
    until_ms=untils,
    level=st.just(1),
    reason=st.just("server_error"),
    message=st.just(""),
    status=st.just(500),
    terminal=st.sampled_from([None, None, "banned"]),
)
lockouts = st.builds(Lockout, until_ms=untils, failures=st.just(1), reason=st.just("not_found"))
states = st.tuples(
    st.dictionaries(st.sampled_from(sorted(PROVIDERS.values())), breakers, max_size=2),
    st.dictionaries(st.sampled_from(ACCOUNTS), cooldowns, max_size=3),
    st.dictionaries(places, lockouts, max_size=3),
)
shares = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])
resets = st.sampled_from([None, NOW_MS, NOW_MS + 1_000_000])
# Percentages left at which an account is not used, keys beside the first, and what is left of it.
standings = st.lists(
    st.tuples(
        st.sampled_from([None, None, 0, 20, 60]),
        st.sampled_from([0, 0, 1, 2]),
        st.one_of(
            st.none(),
            st.dictionaries(
                st.sampled_from(["session (5h)", "weekly", "credits"]),
                st.builds(QuotaWindow, left=shares, reset_at_ms=resets),
                min_size=1,
                max_size=2,
            ),
        ),
    ),
    min_size=len(ACCOUNTS),
    max_size=len(ACCOUNTS),
)
keys = st.builds(
    Caller,
    door=st.just("http"),
    key_id=st.just("key-1"),
    allowed_models=st.sampled_from([(), (), (), ("c*",), ("one/*", "auto", "c0")]),
    allowed_connections=st.sampled_from([(), (), (), ("a0", "a1", "demo"), ("a2", "a3", "a4")]),
)
asked = st.one_of(
    st.sampled_from(COMBOS), st.sampled_from([*COMBOS, "auto", "auto/cheap", "auto/fast"]), models
)

Owned: TypeAlias = Sequence[tuple[str, int, bool]]
Named: TypeAlias = Sequence[tuple[Sequence[str | ComboStep], Sequence[str], str]]
State: TypeAlias = tuple[
    Mapping[str, Breaker], Mapping[str, Cooldown], Mapping[tuple[str, str, str], Lockout]
]
Standings: TypeAlias = Sequence[tuple[int | None, int, dict[str, QuotaWindow] | None]]
Place: TypeAlias = tuple[str, str, str]
"""Provider, model, account."""


def build_world(owned: Owned, named: Named, standings: Standings) -> Snapshot:
    """A configuration in which the keys of each account begin with its name."""
    return snapshot(
        nodes=[node(prefix, base_url=f"http://{prefix}.test/v1") for prefix in NODES],
        accounts=[
            msgspec.structs.replace(
                account(PROVIDERS[prefix], name, default_model="x"),
                api_key=name,
                priority=priority,
                is_active=active,
                options={
                    "quotaPath": "/quota",
                    "extraApiKeys": [f"{name}+{more}" for more in range(extra)],
                },
                quota_window_thresholds=None if cutoff is None else {"weekly": cutoff},
            )
            for name, (prefix, priority, active), (cutoff, extra, _) in zip(
                ACCOUNTS, owned, standings, strict=False
            )
        ],
        combos=[
            combo(
                name,
                *steps,
                allowed_providers=tuple(only),
                strategy=strategy,
                context_cache_protection=True,
            )
            for name, (steps, only, strategy) in zip(COMBOS, named, strict=True)
        ],
        globalFallbackModel="one/last",
        emergencyFallback={"provider": "two", "model": "last"},
    )


def put(health: Health, state: State) -> None:
    """Bring health into a state."""
    breakers, cooldowns, lockouts = state
    health._breakers, health._cooldowns = dict(breakers), dict(cooldowns)
    health._lockouts = dict(lockouts)


def simulated(made: Bench, caller: Caller, model: str) -> Simulation:
    """What the operation says. It stands on the planner and the configuration only."""
    configuration = Configuration(cast("Any", None))
    configuration._snapshot = made.pipeline.snapshot()
    absent = cast("Any", None)
    engine = Engine(
        version="0",
        database=absent,
        backups=absent,
        journal=absent,
        configuration=configuration,
        admission=absent,
        live=made.pipeline.live,
        policy=absent,
        ledger=made.ledger,
        sessions=absent,
        chat=made.pipeline,
        metrics=absent,
        payloads=absent,
        quota_desk=absent,
        search_desk=absent,
        quota_watch=absent,
        logins=absent,
        callbacks=absent,
        env_file=absent,
        kept={},
        price_lists=absent,
        cloud=absent,
        webhooks=absent,
        now_ms=made.pipeline.now_ms,
        new_id=absent,
        new_api_key=absent,
        installation=absent,
        key_rotation=absent,
        session_secret=absent,
        data_dir=absent,
        started_at_ms=0,
    )
    query = SimulateQuery(model=model, prompt_token_estimate=10)
    return asyncio.run(simulate_route(engine, caller, query))


def tell(quotas: Quotas, standings: Standings) -> None:
    """Let providers report what is left."""
    for name, (_, _, windows) in zip(ACCOUNTS, standings, strict=True):
        if windows is not None:
            quotas.report(name, QuotaReport(windows=windows))


def called(request: OutboundRequest) -> Place:
    """Who was really called, read from what left."""
    host = request.url.split("/")[2]
    key = request.headers.get("authorization", "Bearer demo").removeprefix("Bearer ")
    key = key.partition("+")[0]
    return HOSTS[host], msgspec.json.decode(request.body or b"")["model"], key


def compare(
    world: Snapshot,
    state: State,
    standings: Standings,
    caller: Caller,
    model: str,
    seed: int,
    answers: Callable[[OutboundRequest], Answer],
) -> tuple[list[Place], list[Place], list[list[Place]]]:
    """What is simulated, what is called, and what may follow when all of it fails; refusals must
    be the same."""
    made = build_bench(world, answers, seed=seed)
    made = dataclasses.replace(made, pipeline=dataclasses.replace(made.pipeline, demo=made.gate))
    put(made.health, state)
    tell(made.pipeline.live.quotas, standings)
    path: list[Place] = []
    after: list[list[Place]] = [[]]
    dry, wet = "", ""
    try:
        simulation = simulated(made, caller, model)
        path = [(row.provider, row.model, row.connection) for row in simulation.simulated_path]
        for _, rows in groupby(simulation.standby, key=lambda row: row.when):
            standby = [(row.provider, row.model, row.connection) for row in rows]
            after.append([place for place in standby if place not in path])
    except OmniRouteError as refused:
        dry = repr(refused)
    assert made.gate.asked == []
    try:
        asyncio.run(made.pipeline.complete(chat_call(model, caller=caller)))
    except OmniRouteError as refused:
        wet = repr(refused)
    if not path:
        assert wet == dry
    run = [called(request) for request in made.gate.asked if request.method == "POST"]
    allowed = caller.allowed_connections
    assert all(key in allowed for _, _, key in run) or not allowed
    trace = msgspec.json.decode(made.records[0].trace.data, type=RouteTrace)
    assert [(row.provider, row.model, row.connection) for row in trace.attempts] == run
    if trace.plan is not None:  # the stored trace alone gives the same plan again
        old = trace.plan
        assert from_survey(old.survey, old.seed, old.snapshot_version) == old
        seen = survey(old.survey.facts, world, RecordedWorld(old.survey))
        assert from_survey(seen, old.seed, world.version) == old
    assert (made.ledger.open_reservations, len(made.records)) == (0, 1)
    event(f"{min(len(path), 3)} targets or more" if path else "refused")
    return path, run, after


def error(status: int, code: str = "") -> Answer:
    return Answer(status, {}, (msgspec.json.encode({"error": {"message": "x", "code": code}}),))


STATUSES = (401, 402, 403, 429, 500, 503, 529)


@settings(max_examples=150)
@given(
    accounts,
    combos,
    states,
    standings,
    keys,
    asked,
    st.integers(0, 2**31),
    st.permutations(STATUSES),
)
def test_while_every_account_fails_the_run_is_the_dry_run_to_its_end(
    owned: Owned,
    named: Named,
    state: State,
    told: Standings,
    caller: Caller,
    model: str,
    seed: int,
    failures: Sequence[int],
) -> None:
    def answers(request: OutboundRequest) -> Answer:
        return error(failures[len(request.url + str(request.headers)) % len(failures)])

    there = build_world(owned, named, told)
    path, run, after = compare(there, state, told, caller, model, seed, answers)
    once = [place for place, _ in groupby(run)]  # an account goes again with its next key
    assert once[: len(path)] == path
    assert once[len(path) :] in after
    event("a last resort was asked" if once[len(path) :] else "nothing stood by")


@settings(max_examples=100)
@given(accounts, combos, states, standings, keys, asked, st.integers(0, 2**31))
def test_what_answers_at_once_is_the_first_of_the_dry_run(
    owned: Owned, named: Named, state: State, told: Standings, caller: Caller, model: str, seed: int
) -> None:
    reply = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    body = msgspec.json.encode(reply)
    path, run, _ = compare(
        build_world(owned, named, told),
        state,
        told,
        caller,
        model,
        seed,
        lambda _: Answer(pieces=(body,)),
    )
    assert run == path[:1]


@settings(max_examples=100)
@given(accounts, combos, states, standings, keys, asked, st.integers(0, 2**31))
def test_a_failure_of_the_target_passes_over_its_other_accounts(
    owned: Owned, named: Named, state: State, told: Standings, caller: Caller, model: str, seed: int
) -> None:
    path, run, _ = compare(
        build_world(owned, named, told),
        state,
        told,
        caller,
        model,
        seed,
        lambda _: error(400, "context_length_exceeded"),
    )
    first_of_each = {(provider, name): (provider, name, key) for provider, name, key in path[::-1]}
    assert run == sorted(first_of_each.values(), key=path.index)
