"""What is exported makes an empty gateway the same, on both databases."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.omniroute.operations.configuration_file.conftest import OpenEngine
from tests.omniroute.operations.configuration_file.random_configuration import write
from tests.omniroute.storage.conftest import fresh_schema

from omniroute.caller import SYSTEM
from omniroute.operations.configuration.config_files import (
    apply_configuration,
    plan_configuration,
    written_configuration,
)
from omniroute.routing.snapshot import Snapshot

pytestmark = pytest.mark.anyio


def seen(snapshot: Snapshot) -> dict[str, object]:
    """What of a snapshot does not depend on ids and moments."""
    prefixes = {row.id: row.prefix for row in snapshot.nodes.values()}
    names = {
        row.id: f"{prefixes.get(row.provider, row.provider)}/{row.name}"
        for row in snapshot.connections.values()
    }

    def plain(value: object) -> str:
        text = msgspec.json.encode(value).decode()
        for id_, name in {**names, **prefixes, **combos}.items():
            text = text.replace(id_, name)
        return text

    combos = {row.id: row.name for row in snapshot.combos.values()}
    outbound = snapshot.proxying.outbound
    accounts = snapshot.connections.values()
    steps = {
        row.name: [
            (type(step).__name__, getattr(step, "model", ""), step.weight, step.label)
            for step in row.steps
        ]
        for row in snapshot.combos.values()
    }
    pins = {
        row.name: [names.get(getattr(step, "connection_id", None) or "") for step in row.steps]
        for row in snapshot.combos.values()
    }
    return {
        "settings": plain(snapshot.settings),
        "filter": plain(snapshot.access.ip_filter),
        "nodes": sorted(
            (row.prefix, row.base_url, *row.headers.items()) for row in snapshot.nodes.values()
        ),
        "accounts": sorted(
            plain([row.provider, row.name, row.api_key, row.priority, row.is_active])
            for row in accounts
        ),
        "options": sorted(plain(sorted(row.options.items())) for row in accounts),
        "combos": {row.name: (row.strategy, row.config) for row in snapshot.combos.values()},
        "steps": steps,
        "pins": pins,
        "keys": sorted(
            plain([row.name, *(getattr(row, name) for name in row.__struct_fields__[6:13])])
            for row in snapshot.keys.values()
        ),
        "budgets": len(snapshot.budgets),
        "aliases": snapshot.aliases,
        "mappings": sorted(
            (row.pattern, row.priority, combos[row.combo_id]) for row in snapshot.mappings
        ),
        "prices": {plain(name): models for name, models in snapshot.stated_prices.items()},
        "agents": {
            name: replace(row, created_at="", updated_at="")
            for name, row in snapshot.agents.items()
        },
        "proxies": sorted((row.name, row.host, row.password) for row in outbound.proxies),
        "uses": sorted(plain([row.scope, row.scope_id]) for row in outbound.assignments),
    }


async def round_trip(open_in: OpenEngine, seed: int, first: str | None, second: str | None) -> None:
    async with open_in(f"first-{seed}", url=first) as engine:
        async with engine.database.work() as work:
            await write(work, seed)
        await engine.configuration.load()
        written = await written_configuration(engine)
        before = seen(engine.snapshot)
    async with open_in(f"second-{seed}", written.variables, url=second) as engine:
        await apply_configuration(engine, SYSTEM, written.text)
        again = await written_configuration(engine)
        after = seen(engine.snapshot)
        idle = await plan_configuration(engine, SYSTEM, written.text)
    assert again.text == written.text
    assert again.variables == written.variables
    assert after == before
    assert (idle.changes, idle.left_alone) == ([], [])


@pytest.mark.parametrize("seed", range(6))
async def test_an_export_makes_an_empty_gateway_the_same(open_in: OpenEngine, seed: int) -> None:
    await round_trip(open_in, seed, None, None)


@pytest.mark.parametrize("seed", range(6, 8))
async def test_the_same_from_one_kind_of_database_to_the_other(
    open_in: OpenEngine, seed: int
) -> None:
    async with fresh_schema() as postgres:
        await round_trip(open_in, seed, postgres, None)
    async with fresh_schema() as postgres:
        await round_trip(open_in, seed + 100, None, postgres)
