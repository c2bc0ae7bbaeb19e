"""A secret in every place that can hold one, put there and read by the real repositories."""

from typing import Any

import msgspec
from sqlalchemy import Text, TypeDecorator, select, type_coerce

from omniroute.storage.connections import SECRET_COLUMNS, SECRET_OPTIONS
from omniroute.storage.database import Database, Work
from omniroute.storage.oauth import SignIn
from omniroute.storage.records.agents import PushConfig
from omniroute.storage.records.configuration import (
    ApiKey,
    Compat,
    Connection,
    ModelCompat,
    ProviderNode,
)
from omniroute.storage.records.proxies import LayeredProxy, Proxy
from omniroute.storage.tables import metadata

NOW_MS = 1_800_000_000_000
NODE = ProviderNode(
    id="n", type="openai-compatible", name="n", prefix="n", base_url="http://x", headers={"X": "h"}
)
KEY = ApiKey(id="k", name="k", key_hash="h", prefix="p", suffix="s", machine_id="m")
PROXY = Proxy(id="p", name="p", type="http", host="h", port=1, username="user", password="pass")
LAYER = LayeredProxy(type="http", host="h", port=1, username="layer-user", password="layer-pass")
COMPAT = ModelCompat(
    provider="a",
    id="b",
    upstream_headers={"X": "c"},
    compat_by_protocol={"openai": Compat(upstream_headers={"Y": "d"})},
)
STATE = "state"
PUSH = PushConfig(
    task_id="t", config_id="c", owner="o", protocol="1.0", config="{}", created_at_ms=NOW_MS
)


def account(number: int) -> Connection:
    """An account with a secret wherever one may be."""
    secrets: dict[str, Any] = {name: f"{name}-{number}" for name in SECRET_COLUMNS}
    options = {name: [f"{name}-{number}"] for name in SECRET_OPTIONS}
    return Connection(
        id=f"c{number:04}",
        provider="groq",
        name=f"c{number}",
        options={**options, "region": "x"},
        **secrets,
    )


async def plant(database: Database, accounts: int = 1) -> None:
    """Put a secret into every place, and some more accounts."""
    async with database.work() as work:
        for number in range(accounts):
            await work.connections.save(account(number))
        await work.nodes.save(NODE)
        await work.keys.save(KEY)
        await work.keys.seal(KEY.id, "text of a key")
        await work.proxies.save(PROXY)
        await work.layered_proxies.set("provider", "a", LAYER)
        await work.model_names.save_compat(COMPAT)
        begun = SignIn(provider="x", verifier="verifier", redirect_uri="http://x")
        await work.oauth_states.add(STATE, begun, NOW_MS)
        await work.push.save(PUSH)


async def planted(database: Database) -> str:
    """Everything that was put there, in clear text, in an order of its own."""
    # To read a sign-in is to use it up: the transaction is never committed.
    async with database._writer.connect() as connection:
        found = await _read(Work(connection, database._box))
    return msgspec.json.encode(found, order="sorted").decode()


async def texts(database: Database) -> dict[tuple[str, str], list[str]]:
    """What is stored in every column that holds texts of ours, as it is."""
    found = {}
    async with database.reader.connect() as connection:
        for table in metadata.sorted_tables:
            for column in table.c:
                if isinstance(column.type, TypeDecorator):
                    rows = await connection.execute(select(type_coerce(column, Text)))
                    found[table.name, column.name] = [text for text in rows.scalars() if text]
    return found


async def _read(work: Work) -> list[Any]:
    begun = await work.oauth_states.consume(STATE, 0, NOW_MS)
    layers = await work.layered_proxies.all()
    return [
        await work.connections.list(),
        await work.nodes.list(),
        await work.keys.reveal(KEY.id),
        await work.proxies.list(),
        sorted(layers.items()) if layers else [],
        await work.model_names.compat(),
        begun,
        await work.push.of_task(PUSH.task_id),
    ]
