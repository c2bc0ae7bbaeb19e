"""What travels through the pipeline: the call as a door made it, and the answer it gets."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from omniroute.caller import Caller
from omniroute.catalog.provider import Provider
from omniroute.chat import ChatReply, ChatRequest, Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.carried import holds_foreign
from omniroute.dialects.codec import ClientCodec
from omniroute.pipeline.money.purse import Purse
from omniroute.pipeline.telemetry import Phase, Stopwatch
from omniroute.routing.plan import Plan
from omniroute.routing.targets import Candidate
from omniroute.routing.trace import AttemptTrace, Change

OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One chat request, decoded once.

    `body` is the client's own bytes as `client` speaks; both are None for callers that have no
    wire format (MCP, A2A). `max_cost_micro_usd` refuses what cannot be done for that, and
    `left_behind` is what a provider would not read and later attempts go without. `path` is where
    the request came in, and `cache` what the response cache had to say to it. `deadline_ms` (epoch
    ms) is when its caller stops waiting for a whole reply, or for a stream to begin. `session` is
    the conversation it belongs to, `changes` what the gateway has changed in the request,
    `routed_model` where a rule sends it instead. `task` is the kind of work its caller says it is,
    a row of the fitness table. `watch` runs since its door got it, where the door looked at the
    time.
    """

    request_id: str
    caller: Caller
    request: ChatRequest
    client: ClientCodec | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pinned_connection: str | None = None
    max_cost_micro_usd: int | None = None
    left_behind: tuple[str, ...] = ()
    path: str = ""
    cache: str | None = None
    deadline_ms: int | None = None
    session: str | None = None
    changes: tuple[Change, ...] = ()
    routed_model: str | None = None
    task: str | None = None
    watch: Stopwatch | None = field(default=None, compare=False)

    @property
    def model(self) -> str:
        """The model to plan for: the one that was asked for, unless a rule says another."""
        return self.routed_model or self.request.model

    def left_ms(self, now_ms: int) -> int | None:
        """How long the caller still waits, at least 0; None for any time."""
        return None if self.deadline_ms is None else max(0, self.deadline_ms - now_ms)

    def lap(self, phase: Phase) -> None:
        """A phase is over."""
        if self.watch is not None:
            self.watch.lap(phase)

    @property
    def dialect(self) -> Dialect | None:
        """What the client speaks."""
        return self.client.dialect if self.client is not None else None

    @property
    def own_ids(self) -> bool:
        """Whether the reply gets an id of the gateway's."""
        return self.client is not None and self.client.own_ids

    def native(self, dialect: Dialect) -> bool:
        """Whether an upstream of `dialect` can have the client's own bytes, and answer in kind.

        Not when they carry the state of another provider, which would reach one it is not for.
        """
        same = self.client is not None and self.client is CODECS.get(dialect)
        return same and self.body is not None and not holds_foreign(self.body)


def spoken(call: ChatCall, provider: Provider) -> Dialect:
    """What a provider is spoken to in: the caller's own dialect if it understands that, too."""
    return next((one for one in provider.also if call.native(one)), provider.dialect)


@dataclass(frozen=True, slots=True)
class ReplyHead:
    """What is known when the first content has arrived; the last of `attempts` brought it.

    `source` is `upstream`, or where an answer came from that nobody was asked for: `cache`,
    `shared` with the same request under way, or `idempotency`. `changes` is what was sent
    otherwise than asked. `purses` are the limits it counts against; what is left in them changes
    while the answer grows.
    """

    request_id: str
    plan: Plan
    chosen: Candidate
    provider_alias: str
    connection_name: str
    attempts: tuple[AttemptTrace, ...]
    latency_ms: int
    source: str = "upstream"
    purses: Sequence[Purse] = ()
    changes: tuple[Change, ...] = ()


@dataclass(slots=True)
class Receipt:
    """What is known when the answer is complete. `cost_micro_usd` None: no price is known."""

    status: int = 200
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    cost_micro_usd: int | None = None
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """A complete reply: as values, and as bytes in the caller's dialect when it has one."""

    head: ReplyHead
    receipt: Receipt
    reply: ChatReply
    body: bytes


class Outputs(Generic[OutputT]):
    """What a stream gives, once through. Close it on every way out, read or not."""

    def __init__(
        self, given: AsyncGenerator[OutputT, None], leave: Callable[[], Awaitable[None]]
    ) -> None:
        self._given = given
        # A generator that was never started has no `finally` that would run.
        self._leave = leave

    def __aiter__(self) -> AsyncIterator[OutputT]:
        return self._given

    async def aclose(self) -> None:
        """Stop the upstream and settle, if that has not happened yet."""
        await self._given.aclose()
        await self._leave()


@dataclass(frozen=True, slots=True)
class StreamAnswer(Generic[OutputT]):
    """A reply that has begun. Closing `outputs` at any point settles the request.

    `receipt` is filled in when the stream has ended.
    """

    head: ReplyHead
    receipt: Receipt
    outputs: Outputs[OutputT]
