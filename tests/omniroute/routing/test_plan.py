"""What a plan holds, in which order, and what it leaves out and why."""

from typing import Any

import pytest
from tests.support.builders import account, combo, node, quiet, reference, snapshot

from omniroute.catalog.quota_report import QuotaReport, QuotaWindow
from omniroute.errors import (
    AmbiguousModel,
    Forbidden,
    InvalidRequest,
    NoCredentials,
    RateLimited,
    TargetsUnavailable,
)
from omniroute.routing.live import Live
from omniroute.routing.naming.permission import model_allowed
from omniroute.routing.plan import Plan, from_survey, plan
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.recorded import RecordedWorld
from omniroute.routing.refusals import recovery_ms, refusal
from omniroute.routing.resilience.health import Breaker, Cooldown, Health, HealthView, Lockout
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.resilience.profiles import Defaults
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.survey import survey
from omniroute.routing.targets import RouteFacts
from omniroute.storage.records.configuration import ModelStep

NOW_MS = 1_000_000
SOUND = HealthView(NOW_MS)

WORLD = snapshot(
    nodes=[node("one"), node("two")],
    accounts=[
        account("one-one", "a", priority=1),
        account("one-one", "b", priority=2),
        account("two-two", "c"),
        account("two-two", "off", is_active=False),
    ],
    combos=[
        combo("both", "one/x", "two/y"),
        combo("outer", reference("both"), "demo/echo"),
        combo("loop", reference("loop"), "two/y"),
        combo("lost", reference("nobody"), "nobody/x", "two/y"),
        combo("only-two", "one/x", "two/y", allowed_providers=("two-two",)),
        combo("pinned"),
    ],
)


def order(made: Plan) -> list[str]:
    """Candidates as `model@account`."""
    return [f"{row.model}@{row.connection}" for row in made.candidates]


def left_out(made: Plan) -> list[tuple[str, str | None, str]]:
    """Exclusions, short."""
    return [(row.model, row.connection, row.reason) for row in made.excluded]


def made(model: str, health: HealthView = SOUND, world: Snapshot = WORLD, **more: object) -> Plan:
    facts = RouteFacts(model=model, **more)  # type: ignore[arg-type]
    return plan(facts, world, quiet(health), seed=7)


ORDERS = {
    "accounts of one model, best first": ("one/x", ["x@a", "x@b"]),
    "the next account before the next target": ("both", ["x@a", "x@b", "y@c"]),
    "a combo inside a combo": ("outer", ["x@a", "x@b", "y@c", "echo@demo"]),
    "a combo inside itself adds nothing": ("loop", ["y@c"]),
    "what does not exist is skipped": ("lost", ["y@c"]),
    "only allowed providers": ("only-two", ["y@c"]),
}


@pytest.mark.parametrize(("model", "expected"), ORDERS.values(), ids=ORDERS)
def test_candidates_come_in_order(model: str, expected: list[str]) -> None:
    assert order(made(model)) == expected


def test_every_candidate_says_why_it_is_there() -> None:
    assert made("both").candidates[1].reasons == (
        "target 1 by strategy priority",
        "account 2 of 2 by priority 2",
    )


def test_notes_say_what_was_skipped() -> None:
    assert len(made("lost").notes) == 2


def test_auto_never_takes_the_demo_while_a_real_account_exists() -> None:
    world = snapshot(accounts=[account("groq", "g", default_model="m")])
    assert order(made("auto", world=world)) == ["m@g"]
    assert order(made("auto", world=snapshot())) == ["echo@demo"]


COOLING = Cooldown(until_ms=NOW_MS + 5_000, level=1, reason="rate_limited", message="", status=429)
UNHEALTHY = {
    "a cooling account": (
        HealthView(NOW_MS, cooldowns={"a": COOLING}),
        ["x@b"],
        [("x", "a", "cooldown_rate_limited")],
    ),
    "an account whose pause is over": (
        HealthView(NOW_MS + 5_001, cooldowns={"a": COOLING}),
        ["x@a", "x@b"],
        [],
    ),
    "an account that is banned": (
        HealthView(
            NOW_MS,
            cooldowns={
                "a": Cooldown(
                    until_ms=0, level=0, reason="x", message="", status=403, terminal="banned"
                )
            },
        ),
        ["x@b"],
        [("x", "a", "account_banned")],
    ),
    "a locked model": (
        HealthView(
            NOW_MS,
            lockouts={
                ("one-one", "b", "x"): Lockout(
                    until_ms=NOW_MS + 1, failures=1, reason="unknown_model"
                )
            },
        ),
        ["x@a"],
        [("x", "b", "model_lockout_unknown_model")],
    ),
    "an open breaker": (
        HealthView(NOW_MS, breakers={"one-one": Breaker(tripped=True, last_failure_ms=NOW_MS)}),
        [],
        [("x", "a", "provider_circuit_open"), ("x", "b", "provider_circuit_open")],
    ),
    "a half-open breaker whose probe is taken": (
        HealthView(
            NOW_MS + 60_000,
            breakers={"one-one": Breaker(tripped=True, last_failure_ms=NOW_MS, probing=True)},
        ),
        [],
        [("x", "a", "provider_circuit_open"), ("x", "b", "provider_circuit_open")],
    ),
}


@pytest.mark.parametrize(("health", "kept", "gone"), UNHEALTHY.values(), ids=UNHEALTHY)
def test_the_unfit_are_left_out_with_a_reason(
    health: HealthView, kept: list[str], gone: list[tuple[str, str, str]]
) -> None:
    found = made("one/x", health)
    assert (order(found), left_out(found)) == (kept, gone)


LOW_AND_LOWER = {"a": 0.02, "b": 0.1}


def quota_world(**setting: int) -> tuple[Snapshot, Quotas]:
    """Two accounts whose provider says that little is left of them."""
    world = snapshot(
        accounts=[account("openrouter", "a", priority=1), account("openrouter", "b", priority=2)],
        quotaPreflight=setting,
    )
    policy = Policy(lambda: world, Defaults())
    quotas = Quotas(lambda: NOW_MS, policy.quota_rules)
    for name, share in LOW_AND_LOWER.items():
        window = QuotaWindow(left=share, reset_at_ms=NOW_MS + 90_000)
        quotas.report(name, QuotaReport(windows={"daily": window}))
    return world, quotas


def test_an_account_below_its_cut_off_is_left_out_and_little_left_is_noted() -> None:
    world, quotas = quota_world(defaultThresholdPercent=5)
    found = plan(RouteFacts(model="openrouter/x"), world, quiet(SOUND, quotas=quotas), seed=7)
    assert (order(found), left_out(found)) == (["x@b"], [("x", "a", "quota_preflight")])
    assert found.notes == ("account 'b': 10 % of its quota 'daily' is left",)
    recorded = survey(found.survey.facts, world, RecordedWorld(found.survey))
    assert from_survey(recorded, 7, world.version) == found


def test_when_every_account_is_below_its_cut_off_the_refusal_says_until_when() -> None:
    world, quotas = quota_world(defaultThresholdPercent=10)
    found = plan(RouteFacts(model="openrouter/x"), world, quiet(SOUND, quotas=quotas), seed=7)
    refused = refusal(found, world)
    assert (type(refused), refused.retry_after_s) == (RateLimited, 90)
    assert recovery_ms(found) is None  # not worth a wait


def test_nobody_looks_at_quotas_unless_told_to() -> None:
    world, quotas = quota_world()
    found = plan(RouteFacts(model="openrouter/x"), world, quiet(SOUND, quotas=quotas), seed=7)
    assert (order(found), found.notes) == (["x@a", "x@b"], ())


COUNTED_ON: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a combo that goes by quotas": ("spread", {}, ("a", "b")),
    "accounts chosen by what is left": ("openrouter/x", {"fallbackStrategy": "p2c"}, ("a", "b")),
    "nothing that looks at quotas": ("openrouter/x", {}, ()),
}


@pytest.mark.parametrize(("model", "settings", "expected"), COUNTED_ON.values(), ids=COUNTED_ON)
def test_a_real_request_wants_the_quotas_it_went_by(
    model: str, settings: dict[str, Any], expected: tuple[str, ...]
) -> None:
    world = snapshot(
        accounts=[account("openrouter", "a", priority=1), account("openrouter", "b", priority=2)],
        combos=[combo("spread", "openrouter/x", strategy="reset-aware")],
        **settings,
    )
    policy = Policy(lambda: world, Defaults())
    quotas = Quotas(lambda: NOW_MS, policy.quota_rules)
    live = Live.fresh(lambda: NOW_MS, Health(lambda: NOW_MS), quotas)
    made = plan(RouteFacts(model=model), world, live.world(), seed=7)
    assert not any(quotas.refresh_due(name, 1) for name in "ab")
    live.chosen(made)
    assert tuple(name for name in "ab" if quotas.refresh_due(name, 1)) == expected


def test_a_pin_overrides_health() -> None:
    found = made("one/x", HealthView(NOW_MS, cooldowns={"a": COOLING}), pinned_connection="a")
    assert order(found) == ["x@a"]


def test_a_key_may_be_bound_to_accounts() -> None:
    found = made("both", allowed_connections=("b",))
    assert order(found) == ["x@b"]
    assert ("y", "c", "not_allowed_for_key") in left_out(found)


ALLOWED = {
    "no list": ((), "openai/gpt-4o", True),
    "the very name": (("openai/gpt-4o",), "openai/gpt-4o", True),
    "another name": (("openai/gpt-4o",), "openai/gpt-4", False),
    "a prefix": (("openai/*",), "openai/gpt-4o", True),
    "a prefix needs its slash": (("openai/*",), "openai-foo/x", False),
    "a glob": (("*-mini",), "openai/gpt-4o-mini", True),
    "a glob within a segment": (("openai/gpt-*",), "openai/gpt-4o", True),
    "and not beyond it": (("a/*/c",), "a/b/x/c", False),
    "a segment more": (("openai/gpt-*",), "openai/gpt-4o/x", False),
    "a glob in every segment": (("open*/*-mini",), "openai/gpt-4o-mini", True),
    "a star is everything": (("*",), "openai/gpt-4o", True),
    "brackets are no pattern": (("a[bc]*",), "ab1", False),
    "brackets are brackets": (("a[bc]*",), "a[bc]1", True),
    "a question mark is no pattern": (("a?c*",), "abc1", False),
    "a question mark is itself": (("a?c*",), "a?c1", True),
    "one of several": (("x", "y"), "y", True),
}


@pytest.mark.parametrize(("entries", "name", "allowed"), ALLOWED.values(), ids=ALLOWED)
def test_allowed_models(entries: tuple[str, ...], name: str, allowed: bool) -> None:
    assert model_allowed(entries, [name]) is allowed


def test_a_key_may_leave_open_who_serves_a_model() -> None:
    rows = [account("codestral", "c", priority=2), account("mistral", "m", priority=1)]
    world = snapshot(accounts=rows)
    with pytest.raises(AmbiguousModel):
        made("codestral-2508", world=world)
    assert order(made("codestral-2508", world=world, auto_resolve=True)) == ["codestral-2508@m"]
    with pytest.raises(AmbiguousModel):  # nobody could be asked
        made("codestral-2508", world=snapshot(), auto_resolve=True)


def test_a_rule_by_alias_matches_a_request_by_id() -> None:
    world = snapshot(accounts=[account("deepseek", "d")])
    assert order(made("deepseek/m", world=world, allowed_models=("ds/*",))) == ["m@d"]
    with pytest.raises(Forbidden):
        made("deepseek/m", world=world, allowed_models=("openai/*",))


@pytest.mark.parametrize("asked", ["both", "combo/both"])
def test_a_rule_by_a_combos_name_covers_every_way_to_write_it(asked: str) -> None:
    assert order(made(asked, allowed_models=("both",))) == ["x@a", "x@b", "y@c"]


def test_a_key_for_models_may_not_use_a_combo_of_them() -> None:
    with pytest.raises(Forbidden):
        made("both", allowed_models=("one/*", "two/*"))


def test_a_pin_leaves_out_every_other_account() -> None:
    found = made("one/x", pinned_connection="b")
    assert (order(found), left_out(found)) == (
        ["x@b"],
        [("x", "a", "another_connection_is_pinned")],
    )


def test_a_step_may_be_bound_to_an_account() -> None:
    step = ModelStep(id="s", model="one/x", connection_id="b")
    lost = ModelStep(id="t", model="one/x", connection_id="gone")
    world = snapshot(
        nodes=[node("one")],
        accounts=[account("one-one", "a"), account("one-one", "b")],
        combos=[combo("bound", step, lost)],
    )
    found = made("bound", world=world)
    assert (order(found), left_out(found)) == (["x@b"], [("x", "gone", "no_active_account")])


def test_combos_nest_three_deep_and_no_deeper() -> None:
    levels = [combo(f"c{level}", reference(f"c{level + 1}"), f"one/m{level}") for level in range(6)]
    world = snapshot(nodes=[node("one")], accounts=[account("one-one", "a")], combos=levels)
    found = made("c0", world=world)
    assert order(found) == ["m3@a", "m2@a", "m1@a", "m0@a"]
    assert found.notes == ("combo 'c4' is nested in itself or too deep",)


def test_a_plan_knows_its_snapshot_its_seed_and_its_time() -> None:
    found = made("both")
    assert (found.snapshot_version, found.seed, found.planned_at_ms) == (1, 7, NOW_MS)
    assert (found.requested_model, found.combo, found.strategy) == ("both", "both", "priority")


def test_no_account_names_the_variable_and_the_nearest_model() -> None:
    with pytest.raises(NoCredentials) as refused:
        made("gtp-4o")
    assert "OPENAI_API_KEY" in str(refused.value)
    assert "Did you mean 'gpt-4o'?" in str(refused.value)


def test_a_refusal_never_asks_to_come_back_in_the_past() -> None:
    taken = made("one/x", UNHEALTHY["a half-open breaker whose probe is taken"][0])
    error = refusal(taken, WORLD)
    assert (error.retry_after_s, error.extras["retry_after"]) == (1, 1)


def test_a_refusal_for_several_reasons_names_them_all() -> None:
    view = HealthView(
        NOW_MS,
        breakers={"two-two": Breaker(tripped=True, last_failure_ms=NOW_MS)},
        cooldowns=dict.fromkeys(("a", "b"), COOLING),
    )
    error = refusal(made("both", view), WORLD)
    assert (type(error), error.retry_after_s) == (TargetsUnavailable, 5)
    assert str(error) == (
        "Nothing can answer 'both' right now (one-one account 'a': cooldown rate limited; "
        "one-one account 'b': cooldown rate limited; two-two account 'c': provider circuit open)."
    )


def test_a_pin_to_nowhere_is_a_mistake_of_the_caller() -> None:
    error = refusal(made("one/x", pinned_connection="gone"), WORLD)
    assert (type(error), error.param) == (InvalidRequest, "x-omniroute-connection")
    cooling = HealthView(NOW_MS, cooldowns={"a": COOLING})
    assert made("one/x", cooling, pinned_connection="a").candidates


def test_refusals_say_when_to_come_back() -> None:
    limited = dict.fromkeys(("a", "b"), COOLING)
    cooling = made("one/x", HealthView(NOW_MS, cooldowns=limited))
    error = refusal(cooling, WORLD)
    assert (type(error), error.code, error.retry_after_s) == (RateLimited, "model_cooldown", 5)
    assert recovery_ms(cooling) == 5_000
    broken = made("one/x", UNHEALTHY["an open breaker"][0])
    error = refusal(broken, WORLD)
    assert (type(error), error.code) == (TargetsUnavailable, "provider_circuit_open")
    assert recovery_ms(broken) is None
    nothing = made("both", world=snapshot(combos=[combo("both", "nobody/x")]))
    assert refusal(nothing, WORLD).code == "ALL_ACCOUNTS_INACTIVE"
