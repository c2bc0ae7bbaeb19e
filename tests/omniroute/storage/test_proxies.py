"""Outbound proxies on real databases: sealed credentials, assignments, layers, logs."""

import msgspec
import pytest
from sqlalchemy import text

from omniroute.storage.database import Database
from omniroute.storage.records.proxies import (
    GLOBAL,
    LayeredProxy,
    Proxy,
    ProxyAssignment,
    ProxyCounts,
    ProxyLogRow,
    Scope,
)

pytestmark = pytest.mark.anyio

PROXY = Proxy(
    id="p1",
    name="Office",
    type="http",
    host="proxy.test",
    port=3128,
    username="me",
    password="secret",
    region="eu",
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-01T00:00:00.000Z",
)


def assigned(number: int, proxy_id: str, scope: Scope, scope_id: str) -> ProxyAssignment:
    at = f"t{number}"
    return ProxyAssignment(
        id=f"a{number}",
        proxy_id=proxy_id,
        scope=scope,
        scope_id=scope_id,
        created_at=at,
        updated_at=at,
    )


async def test_a_proxy_comes_back_as_it_was_kept(database: Database) -> None:
    bare = Proxy(id="p2", name="Bare", type="socks5", host="::1", port=1, updated_at="2026-02")
    async with database.work() as work:
        for proxy in (PROXY, bare):
            await work.proxies.save(proxy)
    async with database.reading() as work:
        assert await work.proxies.list() == (bare, PROXY)
        assert await work.proxies.get("p1") == PROXY
        assert await work.proxies.get("p3") is None
        assert await work.proxies.at("proxy.test", 3128) == PROXY
        assert await work.proxies.at("proxy.test", 3129) is None


async def test_credentials_are_sealed_and_bound_to_their_row(database: Database) -> None:
    async with database.work() as work:
        await work.proxies.save(PROXY)
        await work.layered_proxies.set(
            "global", "", LayeredProxy(type="http", host="h", port=1, username="me", password="it")
        )
        connection = work.proxies._connection
        rows = await connection.execute(text("SELECT username, password FROM proxy_registry"))
        sealed = tuple(rows.one())
        assert all(str(value).startswith("enc:v2:") for value in sealed)
        assert sealed[0] != sealed[1]
        stored = await connection.scalar(
            text("SELECT value FROM key_value WHERE namespace = 'proxyConfig'")
        )
        assert '"it"' not in stored
        await connection.execute(text("UPDATE proxy_registry SET password = username"))
        moved = await work.proxies.get("p1")
    assert moved is not None
    assert (moved.username, moved.password) == ("me", "")
    assert "me" not in repr(moved).replace("name", "")


async def test_a_scope_has_one_proxy(database: Database) -> None:
    other = msgspec.structs.replace(PROXY, id="p2")
    async with database.work() as work:
        await work.proxies.save(PROXY)
        await work.proxies.save(other)
        first = await work.proxies.assign(assigned(1, "p1", "provider", "openai"))
        second = await work.proxies.assign(assigned(2, "p2", "provider", "openai"))
        await work.proxies.assign(assigned(3, "p1", "global", GLOBAL))
    assert (first.proxy_id, second.proxy_id) == ("p1", "p2")
    assert (second.id, second.created_at, second.updated_at) == ("a1", "t1", "t2")
    async with database.work() as work:
        assert [row.scope for row in await work.proxies.assignments()] == ["global", "provider"]
        assert await work.proxies.unassign("provider", "openai")
        assert not await work.proxies.unassign("provider", "openai")
        assert await work.proxies.delete("p1")
        assert not await work.proxies.delete("p1")
        assert await work.proxies.assignments() == ()


async def test_layers_are_kept_by_level_and_id(database: Database) -> None:
    proxy = LayeredProxy(type="socks5", host="h", port=1080, username="me", password="secret")
    async with database.work() as work:
        await work.layered_proxies.set("global", "", proxy)
        await work.layered_proxies.set("key", "a:b", proxy)
        await work.layered_proxies.set("provider", "openai", proxy)
        await work.layered_proxies.set("provider", "openai", None)
        assert await work.layered_proxies.all() == {("global", ""): proxy, ("key", "a:b"): proxy}
        assert "proxyConfig" not in await work.settings.all()


def use(number: int, status: str = "success", proxy_id: str | None = "p1") -> ProxyLogRow:
    return ProxyLogRow(
        id=str(number),
        timestamp_ms=number,
        status=status,  # type: ignore[arg-type]
        proxy_id=proxy_id,
        proxy_type="http",
        proxy_host="h",
        proxy_port=1,
        level="global",
        latency_ms=number * 10,
    )


async def test_what_came_of_a_proxy_is_counted(database: Database) -> None:
    rows = [use(1), use(2, "error"), use(3, "timeout"), use(4), use(5, proxy_id=None)]
    async with database.work() as work:
        await work.proxy_logs.add(rows)
        await work.proxy_logs.add(rows[:1])
        assert await work.proxy_logs.counts(2) == {
            "p1": ProxyCounts(
                requests=3, successes=1, errors=1, timeouts=1, avg_latency_ms=30.0, last_seen_ms=4
            )
        }
        assert await work.proxy_logs.newest(2) == (rows[4], rows[3])
