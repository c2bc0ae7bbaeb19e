"""A search on its way: admission, kept results, money, and one account after the other. 01 §15."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from msgspec import Struct

from omniroute.caller import Caller
from omniroute.dialects.search.asked import SearchHit, SearchQuestion
from omniroute.errors import BudgetExceeded, Forbidden, OmniRouteError, UpstreamFailed
from omniroute.pipeline.accounts.key_ring import KeyRing, is_refused_key
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.callers.rates import Rates
from omniroute.pipeline.money.budgets import Budget, budgets_for
from omniroute.pipeline.money.ledger import Ledger, Need, Reservation
from omniroute.pipeline.reuse.sharing import Sharing
from omniroute.pipeline.search.asking import Searcher, SearchFailed, ask
from omniroute.pipeline.search.books import MODEL, SearchBooks
from omniroute.pipeline.search.choosing import searchers
from omniroute.pipeline.search.kept import KeptSearches, SearchAnswer, name_of
from omniroute.pipeline.settlement import Record
from omniroute.routing.naming.permission import model_allowed
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import category_of
from omniroute.routing.resilience.verdicts import Failure, Verdict, classify, informativeness
from omniroute.routing.snapshot import Snapshot

ATTEMPT_S = 10.0
WHOLE_S = 15.0
LEAST_S = 1.0
FINAL = frozenset({400, 401, 403, 404})
"""Statuses after which nobody else is asked: what is wrong would stay hidden. 01 §15.4."""

Report = Callable[[float, str], Awaitable[None]]


class Search(Struct, frozen=True, kw_only=True):
    """What is asked, by whom. `provider` None is any; `strict` insists on every filter."""

    request_id: str
    caller: Caller
    question: SearchQuestion
    provider: str | None = None
    strict: bool = False


@dataclass(slots=True)
class _Walk:
    """One search and what came of its attempts."""

    wanted: Search
    books: SearchBooks
    queue: list[Searcher]
    report: Report
    snapshot: Snapshot
    failures: list[tuple[Searcher, Failure, Verdict]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SearchDesk:
    """Searches through the accounts there are.

    `through` is what questions go out through, `record` keeps what is written down; `fresh_ms` is
    how long results are kept where their provider does not say, and 0 keeps and shares none.
    `now_ms` is epoch milliseconds.
    """

    snapshot: Callable[[], Snapshot]
    health: Health
    ledger: Ledger
    rates: Rates
    through: Asking
    record: Record
    now_ms: Callable[[], int]
    kept: KeptSearches
    fresh_ms: int = 300_000
    keys: KeyRing = field(default_factory=KeyRing)
    sharing: Sharing[SearchAnswer] = field(default_factory=Sharing)

    async def search(self, wanted: Search, report: Report) -> tuple[SearchAnswer, bool]:
        """What was found, and whether it was there already or somebody else's.

        Raises:
            OmniRouteError: refused, nothing configured, or every account failed.
        """
        caller = wanted.caller
        books = SearchBooks(caller, wanted.request_id, self.now_ms, self.record)
        try:
            counted = await self.rates.count(caller.owner, caller.rate_rules)
            try:
                walk = self._admitted(wanted, books, report)
                return await self._answered(walk)
            except (Forbidden, BudgetExceeded):
                self.rates.uncount(counted)
                raise
        except BaseException as error:
            _give_up(books, error)
            raise

    def _admitted(self, wanted: Search, books: SearchBooks, report: Report) -> _Walk:
        caller, snapshot = wanted.caller, self.snapshot()
        if not model_allowed(caller.allowed_models, [MODEL]):
            raise Forbidden(f"This API key may not use the model '{MODEL}'.", param="model")
        spent = self.ledger.spent_out(self._budgets(wanted, snapshot))
        if spent is not None:
            raise spent
        queue = searchers(
            snapshot,
            self.health.view(),
            caller,
            wanted.question,
            wanted.provider,
            strict=wanted.strict,
        )
        return _Walk(wanted, books, queue, report, snapshot)

    async def _answered(self, walk: _Walk) -> tuple[SearchAnswer, bool]:
        wanted, first = walk.wanted, walk.queue[0]
        fresh_ms = self._fresh_ms(first)
        if fresh_ms <= 0:
            return await self._asked(walk), False
        name = name_of(wanted.question, wanted.provider or f"any, {first.provider.id} first")
        found = self.kept.get(name)
        if found is not None:
            walk.books.close("completed", 200, source="cache", provider=found.provider)
            return found, True

        async def work() -> SearchAnswer:
            answer = await self._asked(walk)
            self.kept.put(name, answer, fresh_ms)
            return answer

        # Shared only within a key: one key's budget must not refuse what another may ask.
        answer, joined = await self.sharing.run(f"{wanted.caller.owner}:{name}", work)
        if joined:
            walk.books.close("completed", 200, source="shared", provider=answer.provider)
        return answer, joined

    def _fresh_ms(self, to: Searcher) -> int:
        own = to.api.fresh_s
        return self.fresh_ms if own is None or not self.fresh_ms else own * 1000

    async def _asked(self, walk: _Walk) -> SearchAnswer:
        """Ask one account after the other; settled on every way out."""
        held: Reservation | None = None
        try:
            held = await self._reserved(walk)
            to, hits, took_ms = await self._first(walk)
        except BaseException as error:
            if held is not None:
                self.ledger.settle(held, 0)
            _give_up(walk.books, error)
            raise
        cost = to.api.micro_usd
        charges = self.ledger.settle(held, cost)
        walk.books.close(
            "completed",
            200,
            cost_micro_usd=cost,
            reserved_micro_usd=held.micro_usd,
            charges=charges,
            provider=to.provider.id,
        )
        return SearchAnswer(
            provider=to.provider.id,
            hits=tuple(hits),
            at_ms=self.now_ms(),
            latency_ms=took_ms,
            cost_micro_usd=cost,
            failed=tuple(_told(*row) for row in walk.failures),
        )

    async def _reserved(self, walk: _Walk) -> Reservation:
        """Set aside what the dearest account takes; where that is too much, ask the free ones."""
        budgets = self._budgets(walk.wanted, walk.snapshot)
        owner = walk.wanted.caller.owner
        try:
            return await self.ledger.reserve(owner, _need(walk.queue), budgets)
        except BudgetExceeded as error:
            free = [one for one in walk.queue if not one.api.micro_usd]
            if error.extras["action"] != "degrade" or not free:
                raise
            walk.queue[:] = free
            return await self.ledger.reserve(owner, _need(free), budgets)

    def _budgets(self, wanted: Search, snapshot: Snapshot) -> list[Budget]:
        return budgets_for(wanted.caller, wanted.caller.session_id, snapshot.budgets)

    async def _first(self, walk: _Walk) -> tuple[Searcher, list[SearchHit], int]:
        """The first account that answers.

        Raises:
            UpstreamFailed: none did.
        """
        ends_ms = self.now_ms() + int(WHOLE_S * 1000)
        while walk.queue:
            account, key = self.keys.pick(walk.queue[0].account)
            to = replace(walk.queue.pop(0), account=account, key=key)
            left_s = max(LEAST_S, (ends_ms - self.now_ms()) / 1000)
            hits = await self._one(walk, to, min(ATTEMPT_S, left_s))
            if hits is not None:
                return to, *hits
            if self.now_ms() >= ends_ms and len(walk.failures) > 1:
                break
            if walk.queue:
                next_one = walk.queue[0].provider.id
                told = f"{_told(*walk.failures[-1])}; now asking {next_one}"
                await walk.report(len(walk.failures), told)
        raise _nothing_came(walk.failures)

    async def _one(
        self, walk: _Walk, to: Searcher, seconds: float
    ) -> tuple[list[SearchHit], int] | None:
        """One attempt, which health hears of; None when it failed."""
        started_ms = self.now_ms()
        self.health.begin(to.provider.id)
        try:
            hits = await ask(self.through, to, walk.wanted.question, seconds, started_ms)
        except SearchFailed as failed:
            self._failed(walk, to, started_ms, failed.failure)
            return None
        except BaseException:
            self.health.abandoned(to.provider.id)
            raise
        self.health.succeeded(*to.place)
        walk.books.attempted(to, started_ms)
        return hits, self.now_ms() - started_ms

    def _failed(self, walk: _Walk, to: Searcher, started_ms: int, failure: Failure) -> None:
        verdict = classify(failure, category_of(walk.snapshot, to.account))
        walk.books.attempted(to, started_ms, failure, verdict)
        walk.failures.append((to, failure, verdict))
        if to.key is not None and is_refused_key(failure, verdict):
            stored = walk.snapshot.connections[to.account.id]
            if self.keys.refused(stored, to.key):
                self.health.abandoned(to.provider.id)
                walk.queue.insert(0, replace(to, account=stored, key=None))
                return
        self.health.failed(*to.place, failure, verdict)
        if failure.status in FINAL:
            walk.queue.clear()


def _need(queue: Sequence[Searcher]) -> Need:
    dearest = max((one.api.micro_usd for one in queue), default=0)
    return Need(reading=dearest, token_pico=0, max_tokens=0)


def _told(to: Searcher, failure: Failure, verdict: Verdict) -> str:
    text = failure.text or verdict.reason.replace("_", " ")
    return f"{to.provider.id} ({to.account.name}): {text} (status {failure.status})"


def _nothing_came(failures: Sequence[tuple[Searcher, Failure, Verdict]]) -> UpstreamFailed:
    """What is said when no account gave an answer: which were asked, and why not."""
    to, failure, _ = max(failures, key=lambda row: informativeness(row[2]))
    hints = [row.retry_after_ms for _, row, _ in failures if row.retry_after_ms is not None]
    told = "; ".join(_told(*row) for row in failures)
    return UpstreamFailed(
        told if len(failures) == 1 else f"No search provider answered: {told}",
        status=failure.status,
        error_type=failure.error_type or "upstream_error",
        code=failure.code or "upstream_error",
        retry_after_s=-(-min(hints) // 1000) if hints else None,
        extras={"provider": to.provider.id},
    )


def _give_up(books: SearchBooks, error: BaseException) -> None:
    """Close the books on a search that got no answer, and say whose doing that was."""
    match error:
        case OmniRouteError():
            outcome = "failed" if books.attempts else "refused"
            status = error.status if isinstance(error, UpstreamFailed) else 0
            books.close(outcome, status, error=str(error))
        case asyncio.CancelledError():
            books.close("client_gone", 499)
        case _:
            books.close("failed", 500, error="The gateway failed on this request.")
