"""What goes into the configuration tables comes out the same, on both databases."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from omniroute.caller import RateRule
from omniroute.errors import Conflict
from omniroute.storage.database import Database, Work
from omniroute.storage.records.configuration import (
    AccessSchedule,
    ApiKey,
    Combo,
    ComboStep,
    Connection,
    ModelStep,
    ProviderNode,
)

pytestmark = pytest.mark.anyio

CONNECTION = Connection(
    id="c1",
    provider="openai",
    name="main",
    api_key="sk-secret",
    priority=2,
    global_priority=5,
    default_model="gpt-x",
    is_active=False,
    group="team",
    max_concurrent=3,
    test_status="error",
    last_error="bad\tkey ü",
    last_error_at="2026-01-01T00:00:00.000Z",
    last_error_type="auth",
    error_code="401",
    rate_limited_until="2026-01-01T00:01:00.000Z",
    backoff_level=4,
    options={
        "region": "eu",
        "extraApiKeys": ["extra-key-canary-1", "extra-key-canary-2"],
        "sessionToken": "session-canary",
        "n": {"a": [1]},
    },
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-02T00:00:00.000Z",
)
NODE = ProviderNode(
    id="n1",
    type="openai-compatible",
    name="Lab",
    prefix="lab",
    base_url="https://lab.example/v1",
    api_type="chat",
    chat_path="/chat",
    models_path="/models",
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-01T00:00:00.000Z",
)
COMBO = Combo(
    id="k1",
    name="team/fast",
    strategy="p2c",
    steps=(
        ModelStep(
            id="s1",
            model="openai/gpt-x",
            provider_id="openai",
            connection_id="c1",
            weight=1.5,
            label="primary",
            tags=("eu",),
        ),
        ComboStep(id="s2", combo_name="backup"),
    ),
    config={"maxRetries": 1},
    allowed_providers=("openai",),
    system_message="Be brief.",
    tool_filter_regex="^read_",
    context_cache_protection=True,
    context_length=1000,
    is_active=False,
    is_hidden=True,
    sort_order=3,
    created_at="2026-01-01T00:00:00.000Z",
    updated_at="2026-01-01T00:00:00.000Z",
)
KEY = ApiKey(
    id="a1",
    name="ci",
    key_hash="f" * 64,
    prefix="sk-a1b2c",
    suffix="9f0e",
    machine_id="a1b2c3d4e5f60718",
    scopes=("manage", "mcp"),
    allowed_models=("openai/*",),
    allowed_connections=("c1",),
    no_log=True,
    is_active=False,
    is_banned=True,
    expires_at="2027-01-01T00:00:00.000Z",
    revoked_at="2026-02-01T00:00:00.000Z",
    last_used_at="2026-01-05T00:00:00.000Z",
    auto_resolve=True,
    max_sessions=3,
    access_schedule=AccessSchedule(
        enabled=True, from_="22:00", until="06:00", days=(1, 5), tz="Europe/Berlin"
    ),
    rate_limits=(RateRule(1000, 86_400),),
    max_requests_per_day=10,
    max_requests_per_minute=2,
    ip_allowlist=("10.0.0.0/8",),
    created_at="2026-01-01T00:00:00.000Z",
)

# repository name -> (record with every field set, a change to it, a colliding second record)
STORED: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "connections": (CONNECTION, {"api_key": None, "options": {}}, {"id": "c2"}),
    "nodes": (NODE, {"base_url": "https://other.example"}, {"id": "n2"}),
    "combos": (COMBO, {"steps": (), "config": {}}, {"id": "k2"}),
    "keys": (KEY, {"scopes": (), "name": "new"}, {"id": "a2"}),
}


@pytest.mark.parametrize("name", STORED)
async def test_records_are_saved_changed_and_deleted(database: Database, name: str) -> None:
    record, change, _ = STORED[name]
    changed = msgspec.structs.replace(record, **change)

    def repository(work: Work) -> Any:
        return getattr(work, name)

    async with database.work() as work:
        await repository(work).save(record)
    async with database.reading() as work:
        assert await repository(work).get(record.id) == record
        assert await repository(work).list() == (record,)
    async with database.work() as work:
        await repository(work).save(changed)
    async with database.reading() as work:
        assert await repository(work).list() == (changed,)
    async with database.work() as work:
        assert await repository(work).delete(record.id) is True
        assert await repository(work).delete(record.id) is False
        assert await repository(work).get(record.id) is None


@pytest.mark.parametrize("name", STORED)
async def test_a_name_that_is_taken_is_a_conflict(database: Database, name: str) -> None:
    record, _, collision = STORED[name]
    async with database.work() as work:
        await getattr(work, name).save(record)
    with pytest.raises(Conflict):
        async with database.work() as work:
            await getattr(work, name).save(msgspec.structs.replace(record, **collision))
    async with database.reading() as work:
        assert await getattr(work, name).list() == (record,)


async def test_connections_are_ordered_found_and_deleted_by_provider(database: Database) -> None:
    rows = [
        Connection(id="1", provider="b", name="x", priority=1),
        Connection(id="2", provider="a", name="low", priority=9, updated_at="2026-01-09"),
        Connection(id="3", provider="a", name="older", updated_at="2026-01-01"),
        Connection(id="4", provider="a", name="newer", updated_at="2026-01-02"),
    ]
    async with database.work() as work:
        for row in rows:
            await work.connections.save(row)
        assert [row.id for row in await work.connections.list()] == ["4", "3", "2", "1"]
        assert await work.connections.find("a", "low") == rows[1]
        assert await work.connections.find("b", "low") is None
        assert await work.connections.delete_for_provider("a") == 3
        assert await work.connections.list() == (rows[0],)


async def test_credentials_are_not_in_the_table_in_clear_text(database: Database) -> None:
    async with database.work() as work:
        await work.connections.save(CONNECTION)
        stored = await work.connections._connection.execute(
            text("SELECT api_key, provider_specific_data FROM provider_connections")
        )
        row = " ".join(stored.one())
    # Long enough never to turn up in ciphertext by chance.
    secrets = ("sk-secret", "extra-key-canary-1", "extra-key-canary-2", "session-canary")
    assert not [secret for secret in secrets if secret in row]
    assert '"region":"eu"' in row


async def test_a_credential_moved_to_another_row_does_not_open(database: Database) -> None:
    async with database.work() as work:
        await work.connections.save(CONNECTION)
        await work.connections.save(
            msgspec.structs.replace(CONNECTION, id="c2", name="thief", api_key="own")
        )
        await work.connections._connection.execute(
            text(
                "UPDATE provider_connections SET api_key = stolen.api_key,"
                " provider_specific_data = stolen.provider_specific_data"
                " FROM provider_connections AS stolen"
                " WHERE stolen.id = 'c1' AND provider_connections.id = 'c2'"
            )
        )
        thief = await work.connections.get("c2")
    assert thief is not None
    assert (thief.api_key, thief.options) == (None, {"region": "eu", "n": {"a": [1]}})


async def test_combos_are_ordered_and_found_by_exact_name(database: Database) -> None:
    rows = [Combo(id="1", name="b", sort_order=2), Combo(id="2", name="a", sort_order=1)]
    async with database.work() as work:
        for row in rows:
            await work.combos.save(row)
        assert await work.combos.list() == (rows[1], rows[0])
        assert await work.combos.get_by_name("a") == rows[1]
        assert await work.combos.get_by_name("A") is None


@pytest.mark.parametrize("damaged", ["{", '{"models":[{"kind":"unheard-of"}]}', "7"])
async def test_a_damaged_combo_reads_without_steps(database: Database, damaged: str) -> None:
    async with database.work() as work:
        await work.combos.save(COMBO)
        await work.combos._connection.execute(
            text("UPDATE combos SET data = :data"), {"data": damaged}
        )
        combo = await work.combos.get("k1")
    assert combo is not None
    assert (combo.name, combo.steps) == ("team/fast", ())


async def test_keys_are_paged_counted_and_touched(database: Database) -> None:
    keys = [
        msgspec.structs.replace(KEY, id=str(n), key_hash=str(n), created_at=f"2026-01-0{n}")
        for n in (1, 2, 3)
    ]
    async with database.work() as work:
        for key in reversed(keys):
            await work.keys.save(key)
        assert await work.keys.list() == tuple(keys)
        assert await work.keys.list(limit=1, offset=1) == (keys[1],)
        assert await work.keys.list(offset=2) == (keys[2],)
        assert await work.keys.count() == 3
        await work.keys.touch("2", "2026-03-03")
        assert await work.keys.get("2") == msgspec.structs.replace(
            keys[1], last_used_at="2026-03-03"
        )


async def test_settings_keep_json_values(database: Database) -> None:
    values = {"n": 1, "text": "ü\x00\n", "list": [1, {"a": None}], "off": False}
    async with database.work() as work:
        for key, value in {**values, "n": 0}.items():
            await work.settings.set(key, value)
        await work.settings.set("n", 1)
        assert await work.settings.all() == values
        assert await work.settings.get("list") == [1, {"a": None}]
        assert await work.settings.get("missing") is None
        assert await work.settings.delete("n") is True
        assert await work.settings.delete("n") is False
        assert await work.settings.all() == {k: v for k, v in values.items() if k != "n"}


async def test_the_configuration_version_counts_and_is_no_setting(database: Database) -> None:
    async with database.work() as work:
        assert await work.settings.version() == 0
        assert [await work.settings.bump() for _ in range(12)] == list(range(1, 13))
        assert await work.settings.version() == 12
        assert await work.settings.all() == {}
