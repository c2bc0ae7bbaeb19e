"""Quotas are asked once at a time, before plans that go by them, and never hold a request up."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import msgspec
import pytest
from tests.omniroute.conftest import Answer, Bench, Build, chat_call
from tests.support.builders import account, node, snapshot

from omniroute.catalog.quota_report import QuotaReport
from omniroute.errors import InvalidRequest, NotFound, OmniRouteError, RateLimited, UpstreamFailed
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.accounts.quota_watch import QuotaWatch
from omniroute.routing.quotas.monitor import ALERT_PAUSE_MS, IDLE_AFTER_MS, Monitor, judged
from omniroute.routing.quotas.remaining import FRESH_MS, PREFLIGHT_MS, Standing
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.resilience.profiles import Defaults
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import RouteTrace
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.send import OutboundRequest, OutboundResponse, TransportFailed

pytestmark = pytest.mark.anyio

REPLY = b'{"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}'
NOW_MS = 1_800_000_000_000


def quota(percent: float) -> Answer:
    """A report with one window."""
    body = {"quotas": {"weekly": {"remainingPercentage": percent, "resetAt": NOW_MS + 3_600_000}}}
    return Answer(pieces=(msgspec.json.encode(body),))


@dataclass
class Provider:
    """An upstream that chats, and says how much is left of each account by its key."""

    left: dict[str, Answer | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: OutboundRequest) -> Answer | Exception:
        key = request.headers.get("authorization", "nobody").removeprefix("Bearer ")
        self.asked.append(f"{request.method} {key}")
        return self.left[key] if request.method == "GET" else Answer(pieces=(REPLY,))


def world(**options: Any) -> Snapshot:
    """A node with the accounts `a` and `b`, whose keys are their names."""
    said = {"quotaPath": "/quota", "quotaPreflightEnabled": True, **options}
    rows = [account("one-one", name, priority=at, options=said) for at, name in enumerate("ab")]
    named = [msgspec.structs.replace(row, api_key=row.id) for row in rows]
    return snapshot(nodes=[node("one")], accounts=named)


def desk_of(made: Bench) -> QuotaDesk:
    assert made.pipeline.quotas is not None
    return made.pipeline.quotas


def newest(made: Bench) -> RouteTrace:
    return msgspec.json.decode(made.records[-1].trace.data, type=RouteTrace)


async def test_an_account_below_its_cut_off_is_passed_over(bench: Build) -> None:
    provider = Provider({"a": quota(2), "b": quota(15)})
    made = bench(world(), provider)
    await made.pipeline.complete(chat_call("one/x"))
    assert (sorted(provider.asked[:2]), provider.asked[2:]) == (["GET a", "GET b"], ["POST b"])
    plan = newest(made).plan
    assert plan is not None
    assert [(row.connection, row.reason) for row in plan.excluded] == [("a", "quota_preflight")]
    assert plan.notes == ("account 'b': 15 % of its quota 'weekly' is left",)


async def test_what_was_said_within_a_minute_is_not_asked_again(bench: Build) -> None:
    provider = Provider({"a": quota(50), "b": quota(50)})
    made = bench(world(), provider)
    await made.pipeline.complete(chat_call("one/x"))
    made.clock[0] += PREFLIGHT_MS - 1
    await made.pipeline.complete(chat_call("one/x"))
    assert provider.asked.count("GET a") == 1
    made.clock[0] += 1
    provider.left["a"] = quota(1)
    await made.pipeline.complete(chat_call("one/x"))
    assert (provider.asked.count("GET a"), provider.asked[-1]) == (2, "POST b")


async def test_a_cut_off_account_is_asked_again_and_comes_back(bench: Build) -> None:
    provider = Provider({"a": quota(1), "b": quota(1)})
    made = bench(world(), provider)
    with pytest.raises(RateLimited) as refused:
        await made.pipeline.complete(chat_call("one/x"))
    assert refused.value.retry_after_s == 3600
    made.clock[0] += PREFLIGHT_MS
    provider.left["a"] = quota(90)
    await made.pipeline.complete(chat_call("one/x"))
    assert provider.asked[-1] == "POST a"


NO_ANSWERS: dict[str, tuple[Answer | Exception, str]] = {
    "an error": (Answer(500, pieces=(b'{"error": {"message": "down"}}',)), "status 500): down"),
    "something else": (Answer(pieces=(b"<html>",)), "something else than what is left"),
    "nobody there": (TransportFailed("connect", "The upstream cannot be reached"), "be reached"),
}


@pytest.mark.parametrize(("answer", "told"), NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_who_cannot_be_asked_is_used_and_the_trace_says_so(
    bench: Build, answer: Answer | Exception, told: str
) -> None:
    provider = Provider({"a": answer, "b": quota(50)})
    made = bench(world(), provider)
    await made.pipeline.complete(chat_call("one/x"))
    await made.pipeline.complete(chat_call("one/x"))
    assert (provider.asked.count("GET a"), provider.asked[-1]) == (1, "POST a")
    plan = newest(made).plan
    assert plan is not None
    assert "its quota is not known" in plan.notes[0]
    assert told in plan.notes[0]


class Silent:
    """A gate behind which nobody answers until told to."""

    def __init__(self, left: Answer) -> None:
        self.speak, self.heard = asyncio.Event(), asyncio.Event()
        self.asked = 0
        self._left = left

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        if request.method == "POST":
            return Answer(pieces=(REPLY,))
        self.asked += 1
        self.heard.set()
        await self.speak.wait()
        return self._left

    async def aclose(self) -> None:
        """Nothing is pooled."""


async def test_a_slow_usage_api_holds_nothing_up_and_is_heard_later(bench: Build) -> None:
    made = bench(world(), Provider())
    gate = Silent(quota(1))
    desk = replace(
        desk_of(made), through=replace(desk_of(made).through, gate=gate), patience_s=0.001
    )
    pipeline = replace(made.pipeline, gate=gate, quotas=desk)
    with anyio.fail_after(5):
        await pipeline.complete(chat_call("one/x"))
        await pipeline.complete(chat_call("one/x"))
        plan = newest(made).plan
        assert plan is not None
        assert "its provider took too long to say" in plan.notes[0]
        assert gate.asked == 2  # once for each account
        gate.speak.set()
        await desk.refresh("ab")
    with pytest.raises(RateLimited):
        await pipeline.complete(chat_call("one/x"))


async def test_nobody_waits_longer_for_a_quota_than_for_an_answer(bench: Build) -> None:
    made = bench(world(), Provider())
    gate = Silent(quota(1))
    desk = replace(
        desk_of(made), through=replace(desk_of(made).through, gate=gate), patience_s=3600
    )
    pipeline = replace(made.pipeline, gate=gate, quotas=desk)
    hurried = replace(chat_call("one/x"), deadline_ms=NOW_MS + 5)
    with anyio.fail_after(5):
        await pipeline.complete(hurried)
    plan = newest(made).plan
    assert plan is not None
    assert "took too long" in plan.notes[0]


async def test_whoever_asks_at_the_same_time_shares_the_answer(bench: Build) -> None:
    provider = Provider({"a": quota(50)})
    desk = desk_of(bench(world(), provider))
    first, second = await asyncio.gather(desk.ask("a"), desk.ask("a"))
    assert first is second
    assert provider.asked == ["GET a"]
    await desk.ask("a")
    assert provider.asked == ["GET a", "GET a"]


REFUSALS: dict[str, tuple[dict[str, Any], str, type[OmniRouteError], int | None]] = {
    "no such account": ({}, "nobody", NotFound, None),
    "no usage API": ({"quotaPath": None}, "a", InvalidRequest, None),
    "credentials refused": ({}, "a", UpstreamFailed, 401),
    "no answer": ({}, "b", UpstreamFailed, 500),
}


@pytest.mark.parametrize(("options", "name", "kind", "status"), REFUSALS.values(), ids=REFUSALS)
async def test_a_question_that_cannot_be_answered_says_why(
    bench: Build,
    options: dict[str, Any],
    name: str,
    kind: type[OmniRouteError],
    status: int | None,
) -> None:
    provider = Provider({"a": Answer(403, pieces=(b"{}",)), "b": Answer(503, pieces=(b"{}",))})
    desk = desk_of(bench(world(**options), provider))
    with pytest.raises(kind) as refused:
        await desk.ask(name)
    assert getattr(refused.value, "status", None) == status


async def test_an_account_that_is_deleted_meanwhile_leaves_nothing_behind(bench: Build) -> None:
    made, kept = bench(world(), Provider()), Kept()
    configured = [world()]
    gate = Silent(quota(1))
    desk = replace(
        desk_of(made),
        snapshot=lambda: configured[0],
        through=replace(desk_of(made).through, gate=gate),
        keep=kept.keep,
    )
    asking = asyncio.create_task(desk.ask("a"))
    with anyio.fail_after(5):
        await gate.heard.wait()
        configured[0] = snapshot()
        gate.speak.set()
        with pytest.raises(NotFound):
            await asking
    assert (kept.rows, desk.quotas.standing("a")) == ([], Standing())


async def test_the_first_five_are_asked_and_the_next_when_they_are_cut_off(bench: Build) -> None:
    said = {"quotaPath": "/quota", "quotaPreflightEnabled": True}
    rows = [
        msgspec.structs.replace(account("one-one", name, priority=at, options=said), api_key=name)
        for at, name in enumerate("abcdefgh")
    ]
    provider = Provider({name: quota(1) for name in "abcdefgh"})
    provider.left |= {"f": quota(50), "g": quota(50), "h": quota(50)}
    made = bench(snapshot(nodes=[node("one")], accounts=rows), provider)
    await made.pipeline.complete(chat_call("one/x"))
    assert sorted(provider.asked[:5]) == [f"GET {name}" for name in "abcde"]
    assert (sorted(provider.asked[5:8]), provider.asked[8:]) == (
        [f"GET {name}" for name in "fgh"],
        ["POST f"],
    )


ADDRESSES: dict[str, tuple[str, dict[str, Any], str, bool]] = {
    "beside the models": ("openrouter", {}, "https://openrouter.ai/api/v1/key", True),
    "at the root of the host": ("deepseek", {}, "https://api.deepseek.com/user/balance", True),
    "where the account's own base is": (
        "deepseek",
        {"baseUrl": "http://proxy.test/v1"},
        "http://proxy.test/user/balance",
        True,
    ),
    "by a path": ("groq", {"quotaPath": "/q"}, "https://api.groq.com/openai/v1/q", True),
    "elsewhere, where the key is not sent": (
        "groq",
        {"quotaUrl": "http://quota.test/groq?of=a"},
        "http://quota.test/groq?of=a",
        False,
    ),
}


@pytest.mark.parametrize(("provider", "options", "url", "key"), ADDRESSES.values(), ids=ADDRESSES)
async def test_the_question_goes_where_it_belongs(
    bench: Build, provider: str, options: dict[str, Any], url: str, key: bool
) -> None:
    made = bench(
        snapshot(accounts=[account(provider, "a", options=options)]), lambda _: Answer(404)
    )
    await desk_of(made).refresh(["a"])
    (asked,) = made.gate.asked
    assert (asked.method, asked.url, "authorization" in asked.headers) == ("GET", url, key)


@dataclass
class Kept:
    """Reports that were to be stored."""

    rows: list[tuple[str, QuotaReport, int]] = field(default_factory=list)

    async def keep(self, row: Connection, report: QuotaReport, at_ms: int) -> None:
        self.rows.append((row.id, report, at_ms))


def watching(made: Bench, kept: Kept, config: Snapshot) -> QuotaWatch:
    """A watch over a bench, that ticks when told."""
    policy = Policy(lambda: config, Defaults())
    desk = replace(desk_of(made), keep=kept.keep)
    return QuotaWatch(
        desk, policy.quota_rules, lambda one: made.pipeline.live.rotation.use(one).last_used_ms
    )


async def test_every_report_is_kept(bench: Build) -> None:
    kept = Kept()
    desk = replace(desk_of(bench(world(), Provider({"a": quota(50)}))), keep=kept.keep)
    report = await desk.ask("a")
    await desk.kept()
    assert kept.rows == [("a", report, NOW_MS)]


async def test_the_tick_asks_about_what_somebody_needs_before_it_is_too_old(bench: Build) -> None:
    provider = Provider({"a": quota(50), "b": quota(50)})
    config = world()
    made = bench(config, provider)
    watch = watching(made, Kept(), config)
    await watch.tick()
    assert sorted(provider.asked) == ["GET a", "GET b"]
    made.clock[0] += FRESH_MS - 15_001
    await watch.tick()
    assert len(provider.asked) == 2
    made.clock[0] += 1
    await watch.tick()
    assert len(provider.asked) == 4


async def test_a_watched_account_is_polled_faster_when_little_is_left(
    bench: Build, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider({"a": quota(50), "b": quota(10)})
    config = world(quotaPreflightEnabled=False, quotaMonitorEnabled=True)
    made = bench(config, provider)
    watch = watching(made, Kept(), config)
    assert {row.status for row in watch.monitors.values()} == {"starting"}
    made.pipeline.live.rotation.used("one-one", "a", NOW_MS)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            await watch.tick()
            made.clock[0] += 15_000
        assert (provider.asked.count("GET a"), provider.asked.count("GET b")) == (1, 4)
        await watch.tick()
    assert provider.asked.count("GET a") == 2
    assert {name: row.status for name, row in watch.monitors.items()} == {
        "a": "healthy",
        "b": "warning",
    }
    assert [row.getMessage() for row in caplog.records] == [
        "account b has used 90 % of its quota (warning)"
    ]


async def test_it_ticks_in_the_background_whatever_becomes_of_a_tick(bench: Build) -> None:
    provider = Provider({"a": quota(50)})  # of `b` it knows nothing at all: that tick fails
    config = world()
    made = bench(config, provider)
    slept: list[float] = []
    twice = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        made.clock[0] += FRESH_MS
        if len(slept) == 3:
            twice.set()
            await asyncio.Event().wait()

    watch = QuotaWatch(
        desk_of(made), Policy(lambda: config, Defaults()).quota_rules, lambda _: None, sleep
    )
    with anyio.fail_after(5):
        async with watch.running():
            await twice.wait()
    assert (slept, provider.asked.count("GET a")) == ([15.0] * 3, 2)


HEARD = Standing(report=QuotaReport())
JUDGED: dict[str, tuple[Standing, float | None, int | None, str]] = {
    "nobody has been asked": (Standing(), None, NOW_MS, "starting"),
    "in use, enough left": (HEARD, 0.79, NOW_MS, "healthy"),
    "in use, a balance": (HEARD, None, NOW_MS, "healthy"),
    "not used for long": (HEARD, 0.79, NOW_MS - IDLE_AFTER_MS, "idle"),
    "never used": (HEARD, 0.79, None, "idle"),
    "little left": (HEARD, 0.8, None, "warning"),
    "hardly anything left": (HEARD, 0.95, NOW_MS, "exhausted"),
    "no calls": (Standing(report=QuotaReport(available=False)), None, NOW_MS, "exhausted"),
    "no answer": (Standing(report=QuotaReport(), problem="status 500"), 0.1, NOW_MS, "error"),
}


@pytest.mark.parametrize(("standing", "used", "last", "status"), JUDGED.values(), ids=JUDGED)
def test_a_watched_account_has_a_state(
    standing: Standing, used: float | None, last: int | None, status: str
) -> None:
    assert judged(Monitor(), standing, used, last, NOW_MS).status == status


def test_alerts_come_once_in_five_minutes() -> None:
    monitor, alerts = Monitor(), []
    for now_ms in range(NOW_MS, NOW_MS + ALERT_PAUSE_MS + 1, ALERT_PAUSE_MS // 4):
        monitor = judged(monitor, HEARD, 0.9, now_ms, now_ms)
        alerts.append(monitor.alerted_at_ms)
    assert alerts == [NOW_MS] * 4 + [NOW_MS + ALERT_PAUSE_MS]
