"""Answers that are kept: a bounded memory in front of a table. Source: 01 §4.7."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from omniroute.chat import ChatReply
from omniroute.errors import OmniRouteError
from omniroute.pipeline.reuse.signature import LARGEST_BYTES
from omniroute.routing.targets import Candidate
from omniroute.storage.records.live import CachedAnswer

log = structlog.get_logger(__name__)


class Kept(Struct, frozen=True, kw_only=True):
    """An answer and who gave it. `tokens` is what asking again would have used."""

    reply: ChatReply
    candidate: Candidate
    provider_alias: str
    connection_name: str
    tokens: int


class Table(Protocol):
    """The durable tier."""

    async def get(self, signature: str) -> CachedAnswer | None:
        """The entry, unless it has expired; counts a hit."""

    async def put(self, row: CachedAnswer) -> None:
        """Store an entry, or overwrite it."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How much is kept in memory, and for how long anything is kept."""

    entries: int = 500
    bytes: int = 4 * 1024 * 1024
    ttl_ms: int = 3_600_000


@dataclass(slots=True)
class ResponseCache:
    """Two tiers: what memory has not, the table may have, if its name is known to be there.

    The names in the table are in memory, too, so that a miss asks no database. `now_ms` is epoch
    milliseconds.
    """

    now_ms: Callable[[], int]
    table: Table | None = None
    limits: CacheLimits = field(default_factory=CacheLimits)
    hits: int = 0
    misses: int = 0
    tokens_saved: int = 0
    _memory: OrderedDict[str, tuple[int, bytes]] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _stored: dict[str, int] = field(default_factory=dict)
    _writing: set[asyncio.Task[None]] = field(default_factory=set)

    def know(self, stored: Mapping[str, int]) -> None:
        """Take over the names in the table, with when each expires."""
        self._stored.update(stored)

    async def find(self, signature: str) -> Kept | None:
        """The kept answer; None is a miss."""
        now = self.now_ms()
        found = self._memory.get(signature)
        if found is not None and found[0] > now:
            self._memory.move_to_end(signature)
        else:
            self.forget(signature, stored=False)
            found = await self._from_table(signature, now)
        if found is None:
            self.misses += 1
            return None
        kept = msgspec.json.decode(found[1], type=Kept)
        self.hits += 1
        self.tokens_saved += kept.tokens
        return kept

    def keep(self, signature: str, owner: str, kept: Kept) -> bool:
        """Keep an answer; False when it is too large."""
        data = msgspec.json.encode(kept)
        if len(data) > LARGEST_BYTES:
            return False
        now = self.now_ms()
        expires = now + self.limits.ttl_ms
        self._remember(signature, expires, data)
        if self.table is not None:
            row = CachedAnswer(
                signature=signature,
                owner=owner,
                model=f"{kept.candidate.provider}/{kept.candidate.model}",
                data=data.decode(),
                tokens=kept.tokens,
                created_at_ms=now,
                expires_at_ms=expires,
            )
            self._stored[signature] = expires
            task = asyncio.get_running_loop().create_task(self._write(row))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return True

    def forget(self, signature: str, *, stored: bool = True) -> None:
        """Drop an entry from memory, and its name when the table has dropped it, too."""
        found = self._memory.pop(signature, None)
        if found is not None:
            self._bytes -= len(found[1])
        if stored:
            self._stored.pop(signature, None)

    def clear(self) -> int:
        """Forget everything in memory and every name; how many entries there were."""
        count = len(self._memory.keys() | self._stored.keys())
        self._memory.clear()
        self._stored.clear()
        self._bytes = 0
        return count

    def sweep(self) -> None:
        """Forget what has expired."""
        now = self.now_ms()
        for signature in [name for name, (at, _) in self._memory.items() if at <= now]:
            self.forget(signature, stored=False)
        self._stored = {name: at for name, at in self._stored.items() if at > now}

    async def settled(self) -> None:
        """Wait until what was kept is in the table."""
        await asyncio.gather(*self._writing)

    @property
    def entries(self) -> int:
        """Answers in memory."""
        return len(self._memory)

    @property
    def stored(self) -> int:
        """Answers in the table, as far as this process knows."""
        return len(self._stored)

    def _remember(self, signature: str, expires_ms: int, data: bytes) -> None:
        self.forget(signature, stored=False)
        self._memory[signature] = (expires_ms, data)
        self._bytes += len(data)
        while len(self._memory) > self.limits.entries or self._bytes > self.limits.bytes:
            _, (_, oldest) = self._memory.popitem(last=False)
            self._bytes -= len(oldest)

    async def _from_table(self, signature: str, now: int) -> tuple[int, bytes] | None:
        if self.table is None or self._stored.get(signature, 0) <= now:
            return None
        try:
            row = await self.table.get(signature)
        except OmniRouteError:
            log.warning("response_cache_unreadable")
            return None
        if row is None or row.expires_at_ms <= now:
            return None
        data = row.data.encode()
        self._remember(signature, row.expires_at_ms, data)  # with what is left of its time
        return row.expires_at_ms, data

    async def _write(self, row: CachedAnswer) -> None:
        if self.table is None:
            return
        try:
            await self.table.put(row)
        except OmniRouteError:
            log.warning("response_cache_unwritable")
