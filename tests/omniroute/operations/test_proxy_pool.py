"""Proxies of the registry as a pool: found, measured, and given out in turn."""

import pytest

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import NotConfigured
from omniroute.operations.proxies.proxies import change_proxy, create_proxy
from omniroute.operations.proxies.proxy_inputs import ProxyChange, ProxyInput
from omniroute.operations.proxies.proxy_pool import (
    PoolQuery,
    TurnQuery,
    list_pool,
    next_proxy,
    pool_report,
)
from omniroute.storage.records.proxies import ProxyLogRow

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="mcp", is_operator=True)


async def add(engine: Engine, name: str, good: int, bad: int) -> str:
    """A proxy through which requests went; its id."""
    new = ProxyInput(name=name, type="http", host="192.0.2.1", port=8_080)
    made = await create_proxy(engine, OPERATOR, new)
    rows = [
        ProxyLogRow(
            id=f"{name}-{place}",
            timestamp_ms=engine.now_ms(),
            status="success" if place < good else "error",
            proxy_id=made.id,
            proxy_type="http",
            proxy_host="192.0.2.1",
            proxy_port=8_080,
            level="global",
            latency_ms=10,
        )
        for place in range(good + bad)
    ]
    async with engine.database.work() as work:
        await work.proxy_logs.add(rows)
    return made.id


async def test_what_works_best_comes_first(engine: Engine) -> None:
    poor, fine = await add(engine, "poor", 1, 1), await add(engine, "fine", 2, 0)
    unknown = await add(engine, "unknown", 0, 0)
    page = await list_pool(engine, OPERATOR, PoolQuery())
    assert [(one.id, one.quality_score) for one in page.items] == [
        (fine, 100),
        (poor, 50),
        (unknown, None),
    ]
    good = await list_pool(engine, OPERATOR, PoolQuery(min_quality=60))
    assert [one.id for one in good.items] == [fine]
    best = await list_pool(engine, OPERATOR, PoolQuery(limit=1))
    assert (len(best.items), best.total) == (1, 3)
    assert (await list_pool(engine, OPERATOR, PoolQuery(protocol="socks4"))).total == 0
    stats = (await pool_report(engine, OPERATOR)).stats
    assert (stats.total, stats.avg_quality, stats.last_validated is None) == (3, 75, False)


async def test_turns_go_round_and_leave_out_what_is_off(engine: Engine) -> None:
    ids = sorted([await add(engine, name, 1, 0) for name in "abc"])
    turns = [(await next_proxy(engine, OPERATOR, TurnQuery())).id for _ in range(4)]
    assert turns == [*ids, ids[0]]
    await change_proxy(engine, OPERATOR, ProxyChange(id=ids[1], status="inactive"))
    assert (await next_proxy(engine, OPERATOR, TurnQuery())).id == ids[2]
    assert (await next_proxy(engine, OPERATOR, TurnQuery("random"))).id in (ids[0], ids[2])


async def test_an_empty_pool_says_how_to_fill_it(engine: Engine) -> None:
    with pytest.raises(NotConfigured, match="Add one with POST /api/settings/proxies"):
        await next_proxy(engine, OPERATOR, TurnQuery())
