"""Measures how long a gateway with much configuration needs to list it, and to take in a change.

Ten thousand accounts, keys, combos, nodes, aliases and mappings on SQLite, asked in process.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
from starlette.applications import Starlette

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.accounts.connections import ConnectionChange, change_connection
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import (
    ApiKey,
    Combo,
    Connection,
    ModelMapping,
    ModelStep,
    ProviderNode,
)
from omniroute_app.asgi import build_gateway
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

ROUTES = (
    "/api/providers",
    "/api/keys",
    "/api/combos",
    "/api/provider-nodes",
    "/api/models/alias",
    "/api/model-combo-mappings",
    "/api/rate-limits",
)
PROVIDERS = ("groq", "openai", "mistral", "cerebras", "deepseek")


async def filled(work: Work, count: int) -> None:
    """Store `count` of everything."""
    for place in range(count):
        name, now = f"{place:05}", f"2026-01-01T00:00:00.{place % 1000:03}Z"
        provider = PROVIDERS[place % len(PROVIDERS)]
        await work.connections.save(
            Connection(
                id=f"c{name}",
                provider=provider,
                name=name,
                api_key=f"sk-{name * 8}",
                priority=1 + place % 100,
                options={"models": [f"m{place % 50}", f"m{place % 70}"]} if place % 2 else {},
                created_at=now,
                updated_at=now,
            )
        )
        await work.nodes.save(
            ProviderNode(
                id=f"openai-compatible-chat-{name}",
                type="openai-compatible",
                name=name,
                prefix=f"n{name}",
                base_url="http://127.0.0.1:9/v1",
                api_type="chat",
            )
        )
        await work.keys.save(
            ApiKey(id=f"k{name}", name=name, key_hash=name, prefix="p", suffix="s", machine_id="m")
        )
        step = ModelStep(id=f"s{name}", model=f"{provider}/m")
        config = {"maxRetries": 1, "timeoutMs": 5_000}
        combo = Combo(id=f"o{name}", name=f"combo-{name}", steps=(step,), config=config)
        await work.combos.save(combo)
        await work.mappings.save(
            ModelMapping(id=f"g{name}", pattern=f"model-{name}-*", combo_id=f"o{name}")
        )
        await work.model_names.set_alias(f"alias-{name}", f"{provider}/m")


@asynccontextmanager
async def longest_stall(name: str) -> AsyncIterator[None]:
    """Say how long a block took, and how long the event loop could do nothing else meanwhile."""
    worst, over = 0.0, asyncio.Event()

    async def tick() -> None:
        nonlocal worst
        last = time.perf_counter()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            worst, last = max(worst, now - last), now

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    started = time.perf_counter()
    yield
    took = time.perf_counter() - started
    over.set()
    await task
    print(f"{name:44} {1000 * took:8.1f} ms   longest stall {1000 * worst:7.1f} ms")


async def measure(engine: Engine, client: httpx.AsyncClient) -> None:
    """Time everything once it is warm."""
    for path in ROUTES:
        for query in ("", "?limit=100"):
            if query and path == "/api/rate-limits":
                continue
            await client.get(path + query)
            async with longest_stall(f"GET {path}{query}"):
                (await client.get(path + query)).raise_for_status()
    async with longest_stall("read everything"):
        await engine.configuration.load()
    caller = Caller(door="cli", is_operator=True)
    changes: dict[str, Callable[[], Awaitable[object]]] = {
        "change one account": lambda: change_connection(
            engine, caller, "c00001", ConnectionChange(priority=7)
        ),
        "change one combo": lambda: _combo(engine, caller),
        "change one setting": lambda: _setting(engine, caller),
        "set one alias": lambda: _alias(engine, caller),
    }
    for name, change in changes.items():
        async with longest_stall(name):
            await change()


async def _combo(engine: Engine, caller: Caller) -> None:
    async with engine.configuration.change(caller, "combo.updated", "x") as work:
        combo = await work.combos.get("o00001")
        assert combo is not None
        await work.combos.save(combo)


async def _setting(engine: Engine, caller: Caller) -> None:
    async with engine.configuration.change(caller, "settings.updated", "x") as work:
        await work.settings.set("stickyRoundRobinLimit", 4)


async def _alias(engine: Engine, caller: Caller) -> None:
    async with engine.configuration.change(caller, "alias.updated", "x") as work:
        await work.model_names.set_alias("alias-x", "groq/m")


async def main() -> None:
    """Fill a fresh gateway and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings({}, data_dir=Path(directory), discover=False)
        async with open_engine(settings, {}) as engine:
            async with engine.database.work() as work:
                await filled(work, count)
            await engine.configuration.load()
            gateway = build_gateway(engine, settings)
            root = cast("Starlette", gateway.app.app)
            transport = httpx.ASGITransport(gateway.app, client=("127.0.0.1", 50_000))
            async with (
                root.router.lifespan_context(root),
                httpx.AsyncClient(transport=transport, base_url="http://localhost:20128") as client,
            ):
                await measure(engine, client)


if __name__ == "__main__":
    asyncio.run(main())
