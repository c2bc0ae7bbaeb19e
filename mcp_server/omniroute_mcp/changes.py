"""What changed in the gateway, as events for whoever subscribed. 03 §10.4.

Whatever a resource shows has a mark; when the mark differs from the last one, the resource has
changed. Marks are looked at when the configuration changes and once a second, as breakers move by
the clock alone, and only while somebody listens.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged

from omniroute.engine import Engine
from omniroute_mcp.listeners import Listeners

EVERY_S = 1.0
"""How often one resource is told to have changed at most."""

TOOLS_LIST = "tools/list"


class Bus(InMemorySubscriptionBus):
    """Fans events out to the streams of the stateless era, and knows how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = 0
        self.joined: Callable[[], None] = _nothing
        """Called when another stream listens."""

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Have a listener called with every event until the result is called."""
        leave = super().subscribe(listener)
        self.streams += 1
        self.joined()

        def left() -> None:  # the SDK calls it once
            leave()
            self.streams -= 1

        return left


def _nothing() -> None:
    pass


class Changes:
    """Publishes changes, each resource at most once a second.

    Args:
        tools: whatever shows in the list of tools.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        bus: Bus,
        listeners: Listeners,
        tools: Callable[[], Any],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._listeners = listeners
        self._tools = tools
        self._sleep = sleep
        self._woken = anyio.Event()
        self._last: Mapping[str, Any] | None = None
        engine.configuration.watch(lambda _snapshot: self._wake())
        bus.joined = listeners.joined = self._wake

    def _wake(self) -> None:
        self._woken.set()

    async def serve(self) -> None:
        """Publish until cancelled."""
        while True:
            with anyio.move_on_after(EVERY_S if self._listened() else None):
                await self._woken.wait()
            self._woken = anyio.Event()
            if not self._listened():
                self._last = None
            elif await self.publish():
                await self._sleep(EVERY_S)

    def _listened(self) -> bool:
        return self._bus.streams > 0 or len(self._listeners) > 0

    async def publish(self) -> int:
        """Publish what differs from the last look; how much that was. The first look only sees."""
        now, last = marks(self._engine, self._tools()), self._last
        self._last = now
        if last is None:
            return 0
        changed = [name for name in {**last, **now} if last.get(name) != now.get(name)]
        for name in changed:
            event = ToolsListChanged() if name == TOOLS_LIST else ResourceUpdated(name)
            self._listeners.deliver(event)
            await self._bus.publish(event)
        return len(changed)


def marks(engine: Engine, tools: Any) -> dict[str, Any]:
    """What each resource shows, short enough to compare."""
    snapshot, view = engine.snapshot, engine.health.view()
    breakers = tuple((name, row.state(view.now_ms)) for name, row in view.breakers.items())
    cooling = frozenset(
        name
        for name, row in view.cooldowns.items()
        if row.terminal is not None or row.until_ms > view.now_ms
    )
    health = (breakers, cooling)
    found: dict[str, Any] = {
        TOOLS_LIST: tools,
        "omniroute://health": health,
        "omniroute://providers": (health, snapshot.accounts),
        "omniroute://models": (
            snapshot.accounts,
            snapshot.custom_models,
            snapshot.stated_prices,
            snapshot.synced_prices,
        ),
        "omniroute://combos": snapshot.combos,
        "omniroute://budget": snapshot.budgets,
        "omniroute://compression": snapshot.compression,
    }
    for combo in snapshot.combos.values():
        found[f"omniroute://combos/{combo.id}"] = combo
        found[f"omniroute://combos/{combo.name}"] = combo
    return found
