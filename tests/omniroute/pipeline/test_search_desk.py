"""A search on its way, over scripted services and a clock that only moves when told."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from tests.omniroute.conftest import Answer, Script
from tests.support.builders import account, snapshot

from omniroute.caller import Caller, RateRule
from omniroute.dialects.search.asked import SearchQuestion
from omniroute.errors import BudgetExceeded, RateLimited, TargetsUnavailable, UpstreamFailed
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.callers.rates import Rates
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.search import kept
from omniroute.pipeline.search.desk import Search, SearchDesk
from omniroute.pipeline.search.kept import KeptSearches, SearchAnswer
from omniroute.routing.resilience.health import Health
from omniroute.storage.records.configuration import Connection
from omniroute.storage.records.money import BudgetRow
from omniroute.storage.records.usage import FinishedRequest
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.demo.sender import DemoSender
from omniroute.upstream.send import OutboundRequest, TransportFailed

pytestmark = pytest.mark.anyio

CALLER = Caller(door="mcp", key_id="k")
BODY = json.dumps({"results": [{"title": "A", "url": "https://a.io"}]}).encode()
Answers = Callable[[OutboundRequest], Answer | Exception]


def good() -> Answer:
    return Answer(pieces=[BODY])


def searcher(provider: str, **more: Any) -> Connection:
    """An account called as its provider."""
    return account(provider, provider, **more)


@dataclass
class World:
    """A desk and everything around it that a test looks at."""

    desk: SearchDesk
    gate: Script
    records: list[FinishedRequest]
    clock: list[int]
    told: list[str] = field(default_factory=list)

    async def search(self, query: str = "x", caller: Caller = CALLER) -> tuple[SearchAnswer, bool]:
        async def report(_progress: float, message: str) -> None:
            self.told.append(message)

        question = SearchQuestion(query=query)
        name = f"request-{len(self.records)}"
        return await self.desk.search(
            Search(request_id=name, caller=caller, question=question), report
        )

    @property
    def hosts(self) -> list[str]:
        return [one.url.split("/")[2].split(".")[-2] for one in self.gate.asked]


def world(answers: Answers, *accounts: Connection, budgets: tuple[BudgetRow, ...] = ()) -> World:
    clock = [1_800_000_000_000]

    def now() -> int:
        return clock[0]

    made, gate = snapshot(accounts=accounts, budgets=budgets), Script(answers)
    records: list[FinishedRequest] = []
    desk = SearchDesk(
        snapshot=lambda: made,
        health=Health(now),
        ledger=Ledger(now),
        rates=Rates(now),
        through=Asking(gate, DemoSender(), Credentials(gate, now), True),
        record=records.append,
        now_ms=now,
        kept=KeptSearches(now),
    )
    return World(desk, gate, records, clock)


async def test_a_failure_is_told_while_the_next_one_is_asked() -> None:
    def answers(request: OutboundRequest) -> Answer | Exception:
        return TransportFailed("connect", "unreachable") if "serper" in request.url else good()

    made = world(answers, searcher("exa-search"), searcher("serper-search"))
    answer, cached = await made.search()
    assert (answer.provider, cached, made.hosts) == ("exa-search", False, ["serper", "exa"])
    told = "serper-search (serper-search): unreachable (status 502)"
    assert made.told == [f"{told}; now asking exa-search"]
    assert answer.failed == (told,)
    (record,) = made.records
    assert [row.success for row in record.usage] == [False, True]
    assert [row.cost_micro_usd for row in record.usage] == [None, 7_000]


async def test_a_silent_provider_is_a_timeout() -> None:
    made = world(lambda _: TransportFailed("timeout", "silence"), searcher("exa-search"))
    with pytest.raises(UpstreamFailed) as failed:
        await made.search()
    assert (failed.value.status, "silence" in str(failed.value)) == (504, True)


async def test_everybody_resting_says_since_when() -> None:
    limited = Answer(status=429, headers={"retry-after": "30"}, pieces=[b"{}"])
    made = world(lambda _: limited, searcher("exa-search"))
    with pytest.raises(UpstreamFailed):
        await made.search()
    with pytest.raises(TargetsUnavailable) as resting:
        await made.search("other")
    assert (resting.value.retry_after_s, "exa-search (exa-search)" in str(resting.value)) == (
        30,
        True,
    )
    made.clock[0] += 31_000
    made.gate.answers = lambda _: good()
    assert (await made.search("other"))[0].provider == "exa-search"


async def test_the_time_for_a_search_ends() -> None:
    def slow(_request: OutboundRequest) -> Exception:
        made.clock[0] += 9_000
        return TransportFailed("timeout", "silence")

    names = ("serper-search", "brave-search", "exa-search", "tavily-search")
    made = world(slow, *map(searcher, names))
    with pytest.raises(UpstreamFailed, match="No search provider answered: serper-search"):
        await made.search()
    assert len(made.gate.asked) == 2


async def test_results_grow_stale() -> None:
    made = world(lambda _: good(), searcher("exa-search"))
    told = []
    for later_ms in (0, 299_000, 2_000):
        made.clock[0] += later_ms
        told.append((await made.search())[1])
    assert told == [False, True, False]


async def test_failures_are_not_kept() -> None:
    answers = [Answer(status=500, pieces=[b"{}"]), good()]
    made = world(lambda _: answers.pop(0), searcher("exa-search"))
    with pytest.raises(UpstreamFailed):
        await made.search()
    made.clock[0] += 120_000  # it rests until then
    assert (await made.search())[1] is False


def test_too_many_results_push_the_oldest_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_KEPT", 2)
    clock = [1_000]
    rows = KeptSearches(lambda: clock[0])
    answer = SearchAnswer(provider="p", hits=(), at_ms=0, latency_ms=0, cost_micro_usd=0)
    for name, for_ms in (("old", 100), ("short", 1), ("new", 100)):
        rows.put(name, answer, for_ms)
        clock[0] += 1
    assert [name for name in ("old", "short", "new") if rows.get(name)] == ["old", "new"]
    rows.put("newest", answer, 100)
    assert [name for name in ("old", "new", "newest") if rows.get(name)] == ["new", "newest"]


def limit(action: str) -> BudgetRow:
    return BudgetRow(scope_kind="key", scope_id="k", total_micro_usd=5_000, action=action)


async def test_a_budget_that_is_too_small_refuses_and_settles() -> None:
    made = world(lambda _: good(), searcher("exa-search"), budgets=(limit("deny"),))
    with pytest.raises(BudgetExceeded):
        await made.search()
    assert (made.gate.asked, made.desk.ledger.open_reservations) == ([], 0)
    (record,) = made.records
    assert record.call is not None
    assert (record.call.outcome, record.call.cost_micro_usd) == ("refused", 0)


async def test_a_budget_that_degrades_leaves_what_is_free() -> None:
    accounts = (searcher("exa-search"), searcher("searxng-search", priority=9))
    made = world(lambda _: good(), *accounts, budgets=(limit("degrade"),))
    assert (await made.search())[0].provider == "searxng-search"


async def test_a_rate_is_counted_but_not_for_what_money_refuses() -> None:
    caller = Caller(door="http", key_id="other", rate_rules=(RateRule(1, 60),))
    made = world(lambda _: good(), searcher("exa-search"))
    await made.search(caller=caller)
    with pytest.raises(RateLimited):
        await made.search("y", caller)


async def test_who_leaves_early_is_written_down_and_gives_the_money_back() -> None:
    asked = asyncio.Event()

    class Never:
        async def send(self, _request: OutboundRequest) -> Answer:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async def aclose(self) -> None:
            """Nothing is pooled."""

    made = world(lambda _: good(), searcher("exa-search"))
    object.__setattr__(made.desk.through, "gate", Never())
    task = asyncio.create_task(made.search())
    with anyio.fail_after(20):
        await asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert made.desk.ledger.open_reservations == 0
    (record,) = made.records
    assert record.call is not None
    assert record.call.outcome == "client_gone"
