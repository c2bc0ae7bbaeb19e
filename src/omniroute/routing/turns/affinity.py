"""Conversations that stay with the account that knows them: its prompt cache is warm. 05 §6.2."""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator

from omniroute.storage.records.live import Binding

TTL_MS = 30 * 60_000
MOST_BINDINGS = 100_000


class Affinity:
    """Bindings in memory, oldest first; `changed` since the last look are for storage.

    Args:
        now_ms: the injected clock, epoch milliseconds.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._bindings: OrderedDict[tuple[str, str], Binding] = OrderedDict()
        self._changed: dict[tuple[str, str], Binding | None] = {}

    def bound(self, session: str, provider: str) -> str | None:
        """The account a session used last at a provider, within half an hour."""
        binding = self._bindings.get((session, provider))
        if binding is None or self._now_ms() - binding.seen_ms > TTL_MS:
            return None
        return binding.connection

    def bind(self, session: str, provider: str, connection: str) -> None:
        """A session was answered by an account."""
        now, key = self._now_ms(), (session, provider)
        old = self._bindings.get(key)
        same = old is not None and old.connection == connection
        binding = Binding(
            session=session,
            provider=provider,
            connection=connection,
            created_ms=old.created_ms if old is not None and same else now,
            seen_ms=now,
        )
        self._put(key, binding)

    def loosen(self, session: str, provider: str) -> None:
        """The account of a session refuses to go on: the next one is chosen afresh."""
        if self._bindings.pop((session, provider), None) is not None:
            self._changed[session, provider] = None

    def keep_only(self, connections: Container[str]) -> None:
        """Forget what was bound to accounts that are gone."""
        gone = [at for at, row in self._bindings.items() if row.connection not in connections]
        for at in gone:
            del self._bindings[at]
            self._changed[at] = None

    def restore(self, stored: Iterable[Binding]) -> None:
        """Take over what an earlier process knew."""
        for binding in stored:
            self._bindings.setdefault((binding.session, binding.provider), binding)

    def changes(self) -> dict[tuple[str, str], Binding | None]:
        """What changed since the last call; None for what was loosened."""
        changed, self._changed = self._changed, {}
        return changed

    def __len__(self) -> int:
        return sum(1 for _ in self._alive())

    def _alive(self) -> Iterator[Binding]:
        edge = self._now_ms() - TTL_MS
        return (row for row in self._bindings.values() if row.seen_ms >= edge)

    def _put(self, key: tuple[str, str], binding: Binding) -> None:
        self._bindings[key] = self._changed[key] = binding
        self._bindings.move_to_end(key)
        edge = self._now_ms() - TTL_MS
        while self._bindings:
            oldest, row = next(iter(self._bindings.items()))
            if row.seen_ms >= edge and len(self._bindings) <= MOST_BINDINGS:
                break
            del self._bindings[oldest]
