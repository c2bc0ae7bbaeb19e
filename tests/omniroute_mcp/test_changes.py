"""Changes: what subscribers of both eras are told, once, and only of what they may read."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_types import ResourceUpdatedNotification
from tests.omniroute_mcp.test_clients import stdio
from tests.omniroute_mcp.tools.example import OPERATOR
from tests.omniroute_mcp.wire import set_setting
from tests.support.processes import Gateway

from omniroute.caller import SYSTEM
from omniroute.catalog.overrides import StatedPrice
from omniroute.engine import Engine
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.money.budgets import ScopeBudgetInput, set_budget
from omniroute.operations.money.pricing import state_prices
from omniroute.routing.resilience.health import Breaker, Cooldown
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.changes import Bus, Changes
from omniroute_mcp.door import parts
from omniroute_mcp.listeners import Listener, Listeners

pytestmark = pytest.mark.anyio

LIMIT_S = 30
COMBOS = "omniroute://combos"


@asynccontextmanager
async def engine_of(data_dir: Path) -> AsyncIterator[Engine]:
    settings = load_settings({}, data_dir=data_dir, discover=False)
    async with open_engine(settings, {}) as engine:
        yield engine


async def make_combo(gateway: Gateway, name: str) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as http:
        made = await http.post("/api/combos", json={"name": name, "models": ["demo/echo"]})
    assert made.status_code == 201, made.text


CONNECTIONS: dict[str, Callable[[Gateway], Any]] = {
    "Streamable HTTP": lambda gateway: f"{gateway.url}/api/mcp/stream",
    "SSE": lambda gateway: sse_client(f"{gateway.url}/api/mcp/sse"),
    "stdio beside it": lambda gateway: stdio(gateway.data_dir),
}


@pytest.mark.parametrize("connect", CONNECTIONS.values(), ids=CONNECTIONS)
async def test_a_session_is_told_of_what_it_subscribed_to(
    gateway: Gateway, connect: Callable[[Gateway], Any]
) -> None:
    told: list[str] = []
    arrived = anyio.Event()

    async def heard(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            told.append(str(message.params.uri))
            arrived.set()

    with anyio.fail_after(LIMIT_S):
        async with Client(connect(gateway), mode="legacy", message_handler=heard) as client:
            with pytest.warns(MCPDeprecationWarning):
                await client.subscribe_resource(COMBOS)
            await make_combo(gateway, f"told-{len(CONNECTIONS)}-{id(told)}")
            await arrived.wait()
            with pytest.warns(MCPDeprecationWarning):
                await client.unsubscribe_resource(COMBOS)
    assert set(told) == {COMBOS}


@pytest.mark.parametrize("connect", CONNECTIONS.values(), ids=CONNECTIONS)
async def test_a_stream_of_the_stateless_era_is_told(
    gateway: Gateway, connect: Callable[[Gateway], Any]
) -> None:
    with anyio.fail_after(LIMIT_S):
        async with (
            Client(connect(gateway), mode="2026-07-28") as client,
            client.listen(resource_subscriptions=[COMBOS]) as changes,
        ):
            await make_combo(gateway, f"listened-{id(changes)}")
            assert await anext(aiter(changes)) == ResourceUpdated(COMBOS)


async def test_nobody_subscribes_to_what_they_may_not_read(tmp_path: Path) -> None:
    async with engine_of(tmp_path) as engine:
        callers = Callers(Policy(enforce=True), over_stdio=True)
        server = parts(engine, callers, dict).server()
        async with Client(server, mode="legacy") as client:
            with pytest.raises(MCPError, match="read:combos"), pytest.warns(MCPDeprecationWarning):
                await client.subscribe_resource(COMBOS)
        async with Client(server, mode="2026-07-28") as client:
            with pytest.raises(MCPError, match="read:combos"):
                async with client.listen(resource_subscriptions=[COMBOS]):
                    raise AssertionError("never reached")
            with pytest.raises(MCPError, match="no resource"):
                async with client.listen(resource_subscriptions=["omniroute://nothing"]):
                    raise AssertionError("never reached")


async def test_a_look_tells_each_change_once(tmp_path: Path) -> None:
    names = ["omniroute_get_health"]
    async with engine_of(tmp_path) as engine:
        bus, seen = Bus(), list[Any]()
        changes = Changes(engine, bus, Listeners(), lambda: tuple(names))
        bus.subscribe(seen.append)
        assert await changes.publish() == 0  # the first look has nothing to compare with
        made = await create_combo(engine, SYSTEM, ComboInput(name="one", models=["demo/echo"]))
        assert await changes.publish() == 3
        assert await changes.publish() == 0
        names.append("omniroute_agent_new")
        await set_setting(engine, "autoRoutingEnabled", False)  # shows in no resource
        assert await changes.publish() == 1
    assert seen == [
        ResourceUpdated(COMBOS),
        ResourceUpdated(f"{COMBOS}/{made.id}"),
        ResourceUpdated(f"{COMBOS}/one"),
        ToolsListChanged(),
    ]


async def breaker_opens(engine: Engine) -> None:
    tripped = Breaker(failures=9, last_failure_ms=engine.now_ms(), tripped=True)
    engine.health._breakers = {"openai": tripped}


async def account_rests(engine: Engine) -> None:
    until_ms = engine.now_ms() + 60_000
    rest = Cooldown(until_ms=until_ms, level=1, reason="rate_limited", message="", status=429)
    engine.health._cooldowns = {"a": rest}


async def price_is_stated(engine: Engine) -> None:
    await state_prices(engine, OPERATOR, {"demo": {"echo": StatedPrice(input=1.0)}})


async def budget_is_set(engine: Engine) -> None:
    limit = ScopeBudgetInput(scope="key", scope_id="k", daily_limit_usd=1)
    await set_budget(engine, OPERATOR, limit)


CAUSES: dict[str, tuple[Callable[[Engine], Awaitable[None]], set[str]]] = {
    "a breaker": (breaker_opens, {"health", "providers"}),
    "a cooldown": (account_rests, {"health", "providers"}),
    "a price": (price_is_stated, {"models"}),
    "a budget": (budget_is_set, {"budget"}),
}


@pytest.mark.parametrize(("cause", "names"), CAUSES.values(), ids=CAUSES)
async def test_what_changes_which_resource(
    tmp_path: Path, cause: Callable[[Engine], Awaitable[None]], names: set[str]
) -> None:
    async with engine_of(tmp_path) as engine:
        bus, seen = Bus(), list[Any]()
        changes = Changes(engine, bus, Listeners(), tuple)
        bus.subscribe(seen.append)
        await changes.publish()
        await cause(engine)
        await changes.publish()
    assert {event.uri for event in seen} == {f"omniroute://{name}" for name in names}


async def test_changes_are_told_once_a_second_at_most(tmp_path: Path) -> None:
    waits: list[float] = []
    go_on = anyio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await go_on.wait()

    async with engine_of(tmp_path) as engine:
        bus, seen = Bus(), list[Any]()
        changes = Changes(engine, bus, Listeners(), tuple, sleep)
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as group:
                bus.subscribe(seen.append)
                group.start_soon(changes.serve)
                await anyio.wait_all_tasks_blocked()
                for name in ("a", "b", "c"):
                    await create_combo(engine, SYSTEM, ComboInput(name=name, models=["demo/echo"]))
                while not waits:
                    await anyio.lowlevel.checkpoint()
                assert seen.count(ResourceUpdated(COMBOS)) == 1
                await create_combo(engine, SYSTEM, ComboInput(name="d", models=["demo/echo"]))
                assert seen.count(ResourceUpdated(COMBOS)) == 1
                go_on.set()
                while seen.count(ResourceUpdated(COMBOS)) < 2:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
    assert set(waits) == {1.0}


class Session:
    """Stands for a session's connection; one that is gone raises."""

    def __init__(self, *, gone: bool = False) -> None:
        self.told: list[str] = []
        self.gone = gone

    async def send_resource_updated(self, uri: str) -> None:
        if self.gone:
            raise anyio.ClosedResourceError
        self.told.append(uri)


async def test_a_session_that_is_gone_is_forgotten() -> None:
    listeners = Listeners()
    here, gone = Session(), Session(gone=True)
    known: list[Listener] = [
        Listener(session=one, uris={COMBOS})  # type: ignore[arg-type]
        for one in (here, gone)
    ]
    with anyio.fail_after(LIMIT_S):
        async with listeners.telling():
            for one in known:
                listeners.add(one)
            listeners.deliver(ResourceUpdated(COMBOS))
            while len(listeners) > 1 or not here.told:
                await anyio.lowlevel.checkpoint()
    assert here.told == [COMBOS]
    known.clear()
    del here
    assert len(listeners) == 0, "nothing else holds a session that ended"


LEVELS: dict[str, tuple[str, list[Any]]] = {
    "warnings by default": ("", [("warning", True)]),
    "everything": ("debug", [("debug", False), ("warning", True)]),
    "errors only": ("error", []),
}


@pytest.mark.parametrize(("level", "told"), LEVELS.values(), ids=LEVELS)
async def test_a_session_hears_as_much_as_it_wants(
    tmp_path: Path, level: Any, told: list[Any]
) -> None:
    heard: list[Any] = []

    async def log(params: Any) -> None:
        heard.append((params.level, params.data["failed"]))

    async with engine_of(tmp_path) as engine:
        server = parts(engine, Callers(Policy(), over_stdio=True), dict).server()
        async with Client(server, mode="legacy", logging_callback=log) as client:
            if level:
                with pytest.warns(MCPDeprecationWarning):
                    await client.set_logging_level(level)
            await client.call_tool("omniroute_get_health", {})
            await client.call_tool("omniroute_get_combo_metrics", {"comboId": "nobody"})
            await client.list_tools()
    assert heard == told
