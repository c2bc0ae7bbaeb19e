"""The walk over the candidates of a plan, until one delivers."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from msgspec.structs import replace as replace_fields

from omniroute.dialects.left_behind import without_state
from omniroute.pipeline.account_defaults import with_defaults
from omniroute.pipeline.accounts.key_ring import KeyRing, is_refused_key
from omniroute.pipeline.attempt import AttemptFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.failures import no_answer
from omniroute.pipeline.fitting import fitted
from omniroute.pipeline.handoffs.relay import ContextRelay
from omniroute.pipeline.last_resorts import instead_of
from omniroute.pipeline.outbound import Endpoint
from omniroute.pipeline.settlement import Settlement
from omniroute.pipeline.walk import Delivered, Walk
from omniroute.routing.combo_config import ComboConfig
from omniroute.routing.live import Live
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import category_of
from omniroute.routing.resilience.tool_limits import tool_limit_in
from omniroute.routing.resilience.verdicts import (
    CLIENT_GONE,
    FOREIGN_STATE,
    HEDGED,
    TOO_MANY_TOOLS,
    Failure,
    Verdict,
    classify,
)
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Candidate

ResultT = TypeVar("ResultT")

LONGEST_PACE_MS = 5_000
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
PACED = frozenset({502, 503, 504})
NEVER_AGAIN = frozenset(
    {
        "stream_timeout",
        "stream_early_eof",
        "proxy_unreachable",
        "proxy_auth_failed",
        "proxy_refused",
        "proxy_unusable",
    }
)
MENDED = frozenset({FOREIGN_STATE, TOO_MANY_TOOLS})
"""What a client is to blame for and the gateway can put right."""

_OVERTAKEN = "overtaken by another target"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Tries candidates and feeds health once per attempt.

    `now_ms` is epoch milliseconds, `endpoint` makes a candidate of a snapshot callable, in a combo
    or by itself, `sleep` waits for seconds, `keys` are the turns of accounts with several keys.
    """

    live: Live
    now_ms: Callable[[], int]
    endpoint: Callable[[ChatCall, Candidate, Snapshot, str | None], Endpoint]
    sleep: Callable[[float], Awaitable[None]]
    relay: ContextRelay
    keys: KeyRing = field(default_factory=KeyRing)

    async def first(self, walk: Walk[ResultT]) -> tuple[Endpoint, ResultT]:
        """Try what is left of a walk, in order, until one delivers.

        Raises:
            UpstreamFailed: none did; carries the most informative failure.
        """
        while True:
            while (candidate := walk.next()) is not None:
                delivered = await self._raced(walk, candidate)
                if delivered is not None:
                    return self._noted(walk, delivered)
            view = self.live.health.view()
            error = no_answer(walk.failures, walk.made, view, walk.books.snapshot)
            if not walk.goes_on(error):
                raise error

    def _noted(
        self, walk: Walk[ResultT], delivered: Delivered[ResultT]
    ) -> tuple[Endpoint, ResultT]:
        """What an attempt brought, once that is written down."""
        chosen, made = delivered.to.candidate, walk.made
        ttft_ms = delivered.at_ms - delivered.started_ms
        walk.books.call = replace(walk.books.call, changes=delivered.changes)
        walk.books.attempted(
            chosen,
            delivered.started_ms,
            ttft_ms=ttft_ms,
            continues_at=walk.continues_at,
            key=delivered.to.key,
            proxy=delivered.to.proxy,
        )
        self.live.delivered(chosen, made, made.survey.facts.session, ttft_ms)
        return delivered.to, delivered.result

    async def _raced(self, walk: Walk[ResultT], candidate: Candidate) -> Delivered[ResultT] | None:
        """One attempt, or two when the first one takes its time and the combo hedges."""
        config = walk.books.snapshot.conduct(walk.made.combo, candidate.provider)
        if config is None or config.hedge_after_ms is None or not walk.queue:
            return await self._one(walk, candidate, config)
        racing = {asyncio.create_task(self._one(walk, candidate, config))}
        pause = asyncio.ensure_future(self.sleep(config.hedge_after_ms / 1000))
        delivered = None
        try:
            await asyncio.wait({*racing, pause}, return_when=asyncio.FIRST_COMPLETED)
            rival = walk.next() if pause.done() else None
            if rival is not None:
                other = walk.books.snapshot.conduct(walk.made.combo, rival.provider)
                racing.add(asyncio.create_task(self._one(walk, rival, other)))
            delivered = await _first_delivered(racing)
            return delivered
        finally:
            pause.cancel()
            for task in racing:
                task.cancel(_OVERTAKEN if delivered is not None else None)
            for late in await asyncio.gather(*racing, return_exceptions=True):
                if isinstance(late, Delivered) and late is not delivered:
                    self.live.ended(late.to.candidate)
                    await walk.discard(late.result)

    async def _one(
        self, walk: Walk[ResultT], candidate: Candidate, config: ComboConfig | None
    ) -> Delivered[ResultT] | None:
        """One attempt, judged when it fails; None when the walk has to go on."""
        books, made = walk.books, walk.made
        to = self.endpoint(books.call, candidate, books.snapshot, made.combo)
        most_tools = self.live.health.view().most_tools(candidate.provider)
        waiting = self.relay.waiting(books.call, books.snapshot, made.combo, candidate)
        sent = fitted(books.call, candidate, most_tools, waiting)
        sent = with_defaults(sent, to.account, to.dialect)
        started_ms = self.now_ms()
        if walk.tries:
            self.live.took(candidate, walk.turns)
            walk.turns = (*walk.turns, *candidate.turns)
        walk.tries[candidate] = walk.tries.get(candidate, 0) + 1
        self.live.began(candidate, made.combo)
        try:
            async with _in_time(config):
                result = await walk.attempt(sent, to)
        except AttemptFailed as failed:
            self.live.ended(candidate)
            failure = failed.failure
            verdict = classify(failure, category_of(books.snapshot, to.account))
            other_key = self._other_key(books, to, failure, verdict)
            if other_key:
                verdict = replace_fields(verdict, action="retry")
            books.attempted(
                candidate,
                started_ms,
                failure=failure,
                verdict=verdict,
                key=to.key,
                proxy=to.proxy,
            )
            if other_key:
                self.live.health.abandoned(candidate.provider)
                walk.failures.append((candidate, failure, verdict))
                walk.tries[candidate] -= 1
                walk.queue.insert(0, candidate)
                return None
            judge(self.live.health, candidate, books.snapshot, failure, verdict)
            self.live.failed(candidate, verdict, made.survey.facts.session)
            walk.failures.append((candidate, failure, verdict))
            await self._go_on(walk, candidate, failure, verdict, config)
            return None
        except BaseException as error:
            self.live.ended(candidate)
            self.live.health.abandoned(candidate.provider)
            overtaken = error.args == (_OVERTAKEN,)
            books.attempted(
                candidate,
                started_ms,
                failure=Failure(
                    cause="cut",
                    status=499,
                    text="Another target was faster" if overtaken else "The caller hung up",
                ),
                verdict=HEDGED if overtaken else CLIENT_GONE,
                key=to.key,
                proxy=to.proxy,
            )
            raise
        return Delivered(to, result, started_ms, self.now_ms(), sent.changes)

    def _other_key(
        self, books: Settlement, to: Endpoint, failure: Failure, verdict: Verdict
    ) -> bool:
        """Whether only one key of an account was refused, so that it goes again with the next."""
        if to.key is None or not is_refused_key(failure, verdict):
            return False
        return self.keys.refused(books.snapshot.connections[to.candidate.connection], to.key)

    async def _go_on(
        self,
        walk: Walk[ResultT],
        candidate: Candidate,
        failure: Failure,
        verdict: Verdict,
        config: ComboConfig | None,
    ) -> None:
        """Decide what a failure leaves to try, and wait where the combo says so."""
        if verdict.reason == FOREIGN_STATE:
            walk.books.call = unburdened(walk.books.call)
        useless = verdict.reason == TOO_MANY_TOOLS and not self._learns_tools(walk, failure)
        mine = verdict.blame == "client" and verdict.reason not in MENDED
        stops = config is not None and config.stop_on_client_error and mine
        if verdict.action == "answer" or stops or useless:
            walk.queue.clear()
            return
        if verdict.action == "retry" and walk.tries[candidate] == 1:
            walk.queue.insert(0, candidate)
            return
        retries = config.max_retries if config is not None else 0
        transient = failure.status in TRANSIENT and verdict.reason not in NEVER_AGAIN
        if config is not None and transient and walk.tries[candidate] <= retries:
            walk.queue.insert(0, candidate)
            await self._wait(walk, config.retry_delay_ms)
            return
        if verdict.action == "next-target":
            gone = (candidate.provider, candidate.model)
            walk.queue[:] = [row for row in walk.queue if (row.provider, row.model) != gone]
            view = self.live.health.view()
            others = instead_of(candidate, verdict, walk.made, walk.books.snapshot, view)
            walk.queue[:0] = [row for row in others if walk.books.covers(row)]
        if config is not None and failure.status in PACED and walk.queue:
            blocked = self.live.health.view().blocked(*candidate.place)
            rest_ms = (blocked[1] or 0) - self.now_ms() if blocked is not None else 0
            if 0 < rest_ms <= LONGEST_PACE_MS:
                await self._wait(walk, min(rest_ms, config.fallback_delay_ms))

    def _learns_tools(self, walk: Walk[ResultT], failure: Failure) -> bool:
        """Whether a provider said of its limit what helps: the request did not keep to it."""
        candidate = walk.failures[-1][0]
        most = tool_limit_in(failure.text)
        if most is None or len(walk.books.call.request.tools) <= most:
            return False
        self.live.health.takes_tools(candidate.provider, most)
        return True

    async def _wait(self, walk: Walk[ResultT], wait_ms: int) -> None:
        left_ms = walk.books.call.left_ms(self.now_ms())
        wait_ms = wait_ms if left_ms is None else min(wait_ms, left_ms)
        if wait_ms:
            walk.books.waited_ms += wait_ms
            await self.sleep(wait_ms / 1000)


@asynccontextmanager
async def _in_time(config: ComboConfig | None) -> AsyncGenerator[None]:
    """End what is within when it takes longer than the combo gives one attempt."""
    longest_ms = config.timeout_ms if config is not None else None
    if longest_ms is None:
        yield
        return
    timer = asyncio.timeout(longest_ms / 1000)
    try:
        async with timer:
            yield
    except TimeoutError:
        if not timer.expired():
            raise
        text = f"No answer within {longest_ms} ms, the combo's timeoutMs"
        raise AttemptFailed(Failure(cause="slow", status=504, text=text)) from None


async def _first_delivered(
    racing: set[asyncio.Task[Delivered[ResultT] | None]],
) -> Delivered[ResultT] | None:
    """The first of several attempts that delivers; None when all of them failed."""
    waiting = set(racing)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            delivered = task.result()
            if delivered is not None:
                return delivered
    return None


def judge(
    health: Health, candidate: Candidate, snapshot: Snapshot, failure: Failure, verdict: Verdict
) -> None:
    """Let a failure count against whoever is to blame."""
    # The built-in demo fails on request, which says nothing about its health.
    if snapshot.providers[candidate.provider].in_process:
        health.abandoned(candidate.provider)
    else:
        health.failed(*candidate.place, failure, verdict)


def unburdened(call: ChatCall) -> ChatCall:
    """The call without state of providers; what its client wrote is no longer sent as it is."""
    request, dropped = without_state(call.request)
    return replace(call, request=request, body=None, left_behind=dropped) if dropped else call
