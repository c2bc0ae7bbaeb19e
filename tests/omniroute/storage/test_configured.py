"""What a transaction wrote is read again, and nothing else; on both databases."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from omniroute.storage.configured import Configured, read_again, read_all
from omniroute.storage.database import Database, Work
from omniroute.storage.records.configuration import (
    ApiKey,
    Combo,
    Connection,
    CustomModel,
    ModelCompat,
    ModelMapping,
    ProviderNode,
)

pytestmark = pytest.mark.anyio

FIRST = Connection(id="c1", provider="groq", name="a", api_key="k", updated_at="1")
NODE = ProviderNode(id="n1", type="openai-compatible", name="n", prefix="n", base_url="http://x")
COMBO = Combo(id="o1", name="combo")
KEY = ApiKey(id="k1", name="k", key_hash="h", prefix="p", suffix="s", machine_id="m")
MAPPING = ModelMapping(id="m1", pattern="x*", combo_id="o1")

Change = Callable[[Work], Awaitable[object]]

PARTS = (
    "connections",
    "nodes",
    "combos",
    "keys",
    "mappings",
    "settings",
    "aliases",
    "custom_models",
    "compat",
    "budgets",
    "stated_prices",
    "proxies",
    "assignments",
    "layers",
    "access",
)

CHANGES: dict[str, tuple[Change, set[str]]] = {
    "an account": (
        lambda work: work.connections.save(replace(FIRST, priority=7)),
        {"connections"},
    ),
    "an account that is claimed": (
        lambda work: work.connections.claim_check("c1", None, "now"),
        {"connections"},
    ),
    "accounts that go": (lambda work: work.connections.delete_all(["c1", "x"]), {"connections"}),
    "all of a provider": (
        lambda work: work.connections.delete_for_provider("groq"),
        {"connections"},
    ),
    "a node": (lambda work: work.nodes.save(replace(NODE, name="z")), {"nodes"}),
    "a combo": (lambda work: work.combos.save(replace(COMBO, sort_order=3)), {"combos"}),
    "a combo with its mappings": (lambda work: work.combos.delete("o1"), {"combos", "mappings"}),
    "a mapping": (lambda work: work.mappings.save(replace(MAPPING, priority=2)), {"mappings"}),
    "a key": (lambda work: work.keys.touch("k1", "today"), {"keys"}),
    "an alias": (lambda work: work.model_names.set_alias("fast", "groq/m"), {"aliases"}),
    "an alias that goes": (lambda work: work.model_names.delete_alias("old"), {"aliases"}),
    "a setting": (lambda work: work.settings.set("s", 1), {"settings"}),
    "a model": (
        lambda work: work.model_names.save_custom_model(CustomModel(provider="groq", id="m")),
        {"custom_models"},
    ),
    "a hidden model": (
        lambda work: work.model_names.save_compat(
            ModelCompat(provider="groq", id="m", is_hidden=True)
        ),
        {"compat"},
    ),
}


async def filled(database: Database) -> Configured:
    async with database.work() as work:
        await work.connections.save(FIRST)
        await work.connections.save(replace(FIRST, id="c0", name="b", priority=3))
        await work.nodes.save(NODE)
        await work.combos.save(COMBO)
        await work.keys.save(KEY)
        await work.mappings.save(MAPPING)
        await work.model_names.set_alias("old", "groq/m")
        await work.settings.bump()
    async with database.reading() as work:
        return await read_all(work)


@pytest.mark.parametrize(("change", "parts"), CHANGES.values(), ids=CHANGES)
async def test_what_changed_is_read_again(
    database: Database, change: Change, parts: set[str]
) -> None:
    old = await filled(database)
    async with database.work() as work:
        await change(work)
        await work.settings.bump()
    async with database.reading() as reading:
        new = await read_again(reading, old, work.changes)
        whole = await read_all(reading)
    assert new == whole
    for part in ("connections", "nodes", "combos", "keys", "mappings"):
        assert list(getattr(new, part)) == list(getattr(whole, part))
    assert {part for part in PARTS if getattr(new, part) != getattr(old, part)} == parts
    kept = {part for part in PARTS[:5] if getattr(new, part) is getattr(old, part)}
    assert kept == set(PARTS[:5]) - parts


async def test_what_somebody_else_changed_is_read_too(database: Database) -> None:
    old = await filled(database)
    async with database.work() as other:
        await other.nodes.save(replace(NODE, name="theirs"))
        await other.settings.bump()
    async with database.work() as work:
        await work.connections.save(replace(FIRST, priority=9))
        await work.settings.bump()
    async with database.reading() as reading:
        new = await read_again(reading, old, work.changes)
    assert (new.nodes["n1"].name, new.connections["c1"].priority) == ("theirs", 9)
