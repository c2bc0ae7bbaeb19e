"""A chat pipeline over scripted upstreams, with a clock that only moves when told."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Dialect, Message, Text
from omniroute.dialects import CODECS
from omniroute.pipeline.accounts.quota_desk import QuotaDesk
from omniroute.pipeline.accounts.quota_question import Asking
from omniroute.pipeline.accounts.slots import Turnstiles
from omniroute.pipeline.attempt import Limits
from omniroute.pipeline.callers.rates import Rates
from omniroute.pipeline.callers.sessions import Sessions
from omniroute.pipeline.chat import ChatPipeline
from omniroute.pipeline.entrance import Entrance
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.handoffs.relay import ContextRelay
from omniroute.pipeline.money.ledger import Ledger
from omniroute.pipeline.reuse.answers import Answers
from omniroute.pipeline.reuse.idempotency import Idempotency
from omniroute.pipeline.reuse.recall import Recall
from omniroute.pipeline.reuse.response_cache import ResponseCache
from omniroute.pipeline.reuse.sharing import Sharing
from omniroute.pipeline.telemetry import Telemetry
from omniroute.routing.live import Live
from omniroute.routing.quotas.remaining import Quotas
from omniroute.routing.resilience.health import Health
from omniroute.routing.resilience.policy import Policy
from omniroute.routing.resilience.profiles import Defaults
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.usage import FinishedRequest
from omniroute.upstream.credentials import Credentials
from omniroute.upstream.demo.sender import DemoSender
from omniroute.upstream.send import OutboundRequest, OutboundResponse


@dataclass
class Answer:
    """A scripted upstream answer. `pieces` are body chunks; an exception in them is raised."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes | Exception] = ()
    closed: bool = False
    read_to_end: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
        self.read_to_end = True

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Script:
    """A `Sender` that answers by URL and remembers what it was asked."""

    answers: Callable[[OutboundRequest], Answer | Exception]
    asked: list[OutboundRequest] = field(default_factory=list)
    given: list[Answer] = field(default_factory=list)

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        answer = self.answers(request)
        if isinstance(answer, Exception):
            raise answer
        self.given.append(answer)
        return answer

    async def aclose(self) -> None:
        """Nothing is pooled."""


@dataclass
class Bench:
    """A pipeline and everything around it that a test looks at."""

    pipeline: ChatPipeline
    gate: Script
    ledger: Ledger
    health: Health
    records: list[FinishedRequest]
    slept: list[float]
    clock: list[int]


Build = Callable[..., Bench]


def build_bench(
    world: Snapshot,
    answers: Callable[[OutboundRequest], Answer | Exception],
    limits: Limits | None = None,
    seed: int = 1,
) -> Bench:
    """A pipeline over a snapshot and a script."""
    clock = [1_800_000_000_000]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += int(seconds * 1000)

    records: list[FinishedRequest] = []
    policy = Policy(lambda: world, Defaults())
    quotas = Quotas(lambda: clock[0], policy.quota_rules)
    live = Live.fresh(lambda: clock[0], Health(lambda: clock[0]), quotas)
    telemetry = Telemetry(lambda: clock[0], lambda: clock[0] / 1000)
    ledger, gate = Ledger(lambda: clock[0]), Script(answers)
    demo, credentials = DemoSender(sleep), Credentials(gate, lambda: clock[0])
    desk = QuotaDesk(lambda: world, quotas, Asking(gate, demo, credentials, True), lambda: clock[0])
    pipeline = ChatPipeline(
        snapshot=lambda: world,
        live=live,
        ledger=ledger,
        entrance=Entrance(Rates(lambda: clock[0]), Sessions(lambda: clock[0]), ledger),
        recall=Recall(lambda: clock[0]),
        answers=Answers(ResponseCache(lambda: clock[0]), Idempotency(lambda: clock[0]), Sharing()),
        record=records.append,
        telemetry=telemetry,
        observers=(),
        gate=gate,
        demo=demo,
        credentials=credentials,
        now_ms=lambda: clock[0],
        new_seed=lambda: seed,
        limits=limits or Limits(),
        turnstiles=Turnstiles(policy, quotas, lambda: clock[0], sleep),
        relay=ContextRelay(lambda: clock[0], quotas.of, lambda: "summary-request"),
        allow_private=True,
        sleep=sleep,
        quotas=desk,
    )
    return Bench(pipeline, gate, ledger, live.health, records, slept, clock)


@pytest.fixture
def bench() -> Build:
    """Builds a pipeline over a snapshot and a script."""
    return build_bench


def chat_call(
    model: str,
    *,
    stream: bool = False,
    dialect: Dialect | None = None,
    body: bytes | None = None,
    caller: Caller | None = None,
    max_cost_micro_usd: int | None = None,
) -> ChatCall:
    """A small call."""
    messages = (Message("user", (Text("Hello"),)),)
    return ChatCall(
        request_id="request-1",
        caller=caller or Caller(door="http", key_id="key-1"),
        request=ChatRequest(model=model, messages=messages, stream=stream),
        client=CODECS[dialect] if dialect else None,
        body=body,
        max_cost_micro_usd=max_cost_micro_usd,
    )
