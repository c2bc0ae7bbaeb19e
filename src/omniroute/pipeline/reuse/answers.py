"""Answers that need not be asked for: repeated by their author, kept, or under way already.

The order is on this page: idempotency first, then the cache, then what is under way.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from omniroute.chat import ChatReply, Collector, Event
from omniroute.pipeline.exchange import ChatCall, ReplyHead, WholeAnswer
from omniroute.pipeline.reuse.idempotency import Idempotency
from omniroute.pipeline.reuse.response_cache import Kept, ResponseCache
from omniroute.pipeline.reuse.sharing import Sharing
from omniroute.pipeline.reuse.signature import (
    keepable,
    shareable,
    signature,
    unreadable,
    unwritable,
)
from omniroute.routing.snapshot import Snapshot

Source: TypeAlias = Literal["upstream", "cache", "shared", "idempotency"]

Ask: TypeAlias = Callable[[ChatCall], Awaitable[WholeAnswer]]
"""Sends a request on its way."""

Serve: TypeAlias = Callable[[ChatCall, Kept, Source], WholeAnswer]
"""Answers a request with what is there already, and records that."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything between admission and dispatch that may answer a request by itself."""

    cache: ResponseCache
    idempotency: Idempotency
    sharing: Sharing[WholeAnswer]

    async def whole(
        self, call: ChatCall, snapshot: Snapshot, ask: Ask, serve: Serve
    ) -> WholeAnswer:
        """A whole answer, from wherever it comes."""
        window_ms = snapshot.settings["idempotencyWindowMs"]
        answer, repeated = await self.idempotency.run(
            call, window_ms, lambda: self._cached(call, snapshot, ask, serve)
        )
        if not repeated:
            return answer
        again = serve(call, kept_of(answer), "idempotency")
        return replace(again, body=answer.body, reply=answer.reply)

    async def kept(self, call: ChatCall, snapshot: Snapshot) -> tuple[ChatCall, Kept | None]:
        """The kept answer to a question; the call says why there is none."""
        why = unreadable(call, enabled=snapshot.settings["semanticCacheEnabled"])
        if why is not None:
            return replace(call, cache=why), None
        found = await self.cache.find(signature(call, snapshot.version))
        return replace(call, cache="miss" if found is None else "hit"), found

    def tape(self, call: ChatCall, snapshot: Snapshot) -> "Tape | None":
        """What records a stream whose answer may be kept; None for others."""
        enabled = snapshot.settings["semanticCacheEnabled"]
        if unreadable(call, enabled=enabled) is not None or unwritable(call) is not None:
            return None
        return Tape(self.cache, signature(call, snapshot.version), call.caller.owner)

    async def _cached(
        self, call: ChatCall, snapshot: Snapshot, ask: Ask, serve: Serve
    ) -> WholeAnswer:
        call, found = await self.kept(call, snapshot)
        if found is not None:
            return serve(call, found, "cache")
        if not shareable(call):
            return await ask(call)
        name = signature(call, snapshot.version)

        async def work() -> WholeAnswer:
            answer = await ask(call)
            writes = call.cache == "miss" and unwritable(call) is None
            if writes and keepable(answer.reply):
                self.cache.keep(name, call.caller.owner, kept_of(answer))
            return answer

        answer, joined = await self.sharing.run(name, work)
        return serve(call, kept_of(answer), "shared") if joined else answer


def kept_of(answer: WholeAnswer) -> Kept:
    """What of an answer can be given again."""
    receipt = answer.receipt
    return kept(answer.head, answer.reply, receipt.input_tokens + receipt.output_tokens)


def kept(head: ReplyHead, reply: ChatReply, tokens: int) -> Kept:
    """A reply with who gave it."""
    return Kept(
        reply=reply,
        candidate=head.chosen,
        provider_alias=head.provider_alias,
        connection_name=head.connection_name,
        tokens=tokens,
    )


class Tape:
    """Hears a stream on its way to its caller, and keeps the answer when it is complete."""

    def __init__(self, cache: ResponseCache, name: str, owner: str) -> None:
        self._cache = cache
        self._name = name
        self._owner = owner
        self._heard = Collector()

    def rewind(self) -> None:
        """Another attempt begins."""
        self._heard = Collector()

    def hear(self, event: Event) -> None:
        """The next event."""
        self._heard.feed(event)

    def keep(self, head: ReplyHead) -> None:
        """The stream has ended well."""
        reply = self._heard.reply()
        if keepable(reply):
            usage = reply.usage
            tokens = usage.total_input_tokens + usage.total_output_tokens if usage else 0
            self._cache.keep(self._name, self._owner, kept(head, reply, tokens))
