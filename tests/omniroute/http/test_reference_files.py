"""A database file of the reference product: what fits comes along, what does not is named."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.omniroute.http.conftest import BOSS, OpenSite

from omniroute.storage.secret_box import derive_key

pytestmark = pytest.mark.anyio

PASSPHRASE = "the passphrase of both installations"
KEY = "sk-0123456789abcdef-abcdef-12345678"
NOW = "2026-01-01T00:00:00.000Z"

TABLES = """
CREATE TABLE provider_connections (
    id TEXT PRIMARY KEY, provider TEXT NOT NULL, auth_type TEXT, name TEXT, email TEXT,
    priority INTEGER, is_active INTEGER, api_key TEXT, access_token TEXT,
    provider_specific_data TEXT, created_at TEXT, updated_at TEXT
);
CREATE TABLE provider_nodes (
    id TEXT PRIMARY KEY, type TEXT, name TEXT, prefix TEXT, api_type TEXT, base_url TEXT,
    chat_path TEXT, models_path TEXT, created_at TEXT, updated_at TEXT
);
CREATE TABLE key_value (namespace TEXT, key TEXT, value TEXT, PRIMARY KEY (namespace, key));
CREATE TABLE combos (
    id TEXT PRIMARY KEY, name TEXT UNIQUE, data TEXT, sort_order INTEGER, system_message TEXT,
    tool_filter_regex TEXT, context_cache_protection INTEGER, created_at TEXT, updated_at TEXT
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, name TEXT, key TEXT, machine_id TEXT, allowed_models TEXT, no_log INTEGER,
    is_active INTEGER, scopes TEXT, created_at TEXT
);
CREATE TABLE usage_history (id INTEGER PRIMARY KEY, provider TEXT);
CREATE TABLE schema_migrations (version TEXT);
"""


def sealed(text: str) -> str:
    """As the reference product seals: AES-256-GCM, a nonce of 16 bytes, bound to nothing."""
    nonce = bytes(range(16))
    raw = AESGCM(derive_key(PASSPHRASE)).encrypt(nonce, text.encode(), None)
    return f"enc:v1:{nonce.hex()}:{raw[:-16].hex()}:{raw[-16:].hex()}"


def rows() -> dict[str, list[tuple[Any, ...]]]:
    data = {"models": ["openai/gpt-x", {"model": "lab/m", "weight": 2}], "strategy": "round-robin"}
    alien = {"models": ["a"], "strategy": "astrology"}
    node = "openai-compatible-chat-1"
    return {
        "provider_connections": [
            ("c1", "openai", "apikey", "plain", None, 1, 1, "sk-plain-1", None, "{}", NOW, NOW),
            ("c2", "openai", "apikey", "sealed", None, 2, 0, sealed("sk-2"), None, "{}", NOW, NOW),
            ("c3", "claude", "oauth", None, "me@example.com", 1, 1, None, "t", "{}", NOW, NOW),
            ("c4", "nobody", "apikey", "n", None, 1, 1, "sk", None, "{}", NOW, NOW),
            ("c5", node, "apikey", "lab", None, 1, 1, "sk-lab", None, None, NOW, NOW),
        ],
        "provider_nodes": [
            (
                node,
                "openai-compatible",
                "Lab",
                "lab",
                "chat",
                "https://lab.example/v1",
                "",
                "",
                NOW,
                NOW,
            ),
            ("x", "telepathy", "X", "x", None, "https://x.example", "", "", NOW, NOW),
        ],
        "key_value": [
            ("settings", "stickyRoundRobinLimit", "7"),
            ("settings", "password", json.dumps("hash")),
            ("settings", "requestRetry", "3"),
            ("modelAliases", "mine", json.dumps("openai/gpt-x")),
            ("proxyConfig", "global", "{}"),
        ],
        "combos": [
            ("k1", "team", json.dumps(data), 1, "Be brief.", None, 1, NOW, NOW),
            ("k2", "odd", json.dumps(alien), 2, None, None, 0, NOW, NOW),
        ],
        "api_keys": [
            ("a1", "mine", KEY, "0123456789abcdef", '["openai/*"]', 1, 1, '["manage"]', NOW),
            ("a2", "hidden", None, "m", "[]", 0, 1, "[]", NOW),
            ("a3", "vague", "sk-vague", "m", "some of them", 0, 1, "[]", NOW),
        ],
        "usage_history": [(1, "openai")],
        "schema_migrations": [("042",)],
    }


@pytest.fixture
def reference_file(tmp_path: Path) -> bytes:
    path = tmp_path / "reference.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(TABLES)
        for table, values in rows().items():
            marks = ", ".join("?" * len(values[0]))
            file.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
        file.commit()
    return path.read_bytes()


async def sent(client: httpx.AsyncClient, content: bytes) -> dict[str, Any]:
    files = {"file": ("storage.sqlite", content)}
    answer = await client.post("/api/db-backups/import", files=files)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_fits_comes_along(site: OpenSite, reference_file: bytes) -> None:
    async with (
        site(STORAGE_ENCRYPTION_KEY=PASSPHRASE, OMNIROUTE_API_KEY=BOSS) as opened,
        opened.as_peer(key=BOSS) as client,
    ):
        await client.post("/api/combos", json={"name": "gone", "models": ["demo/echo"]})
        done = await sent(client, reference_file)
        snapshot = opened.engine.snapshot
        accounts = {
            row.name: (row.id, row.api_key, row.is_active)
            for row in snapshot.connections.values()
            if row.created_at
        }
        asked = await client.get("/v1/models", headers={"authorization": f"Bearer {KEY}"})
        raw = (await client.get("/api/db-backups/export")).content
    assert accounts == {
        "plain": ("c1", "sk-plain-1", True),
        "sealed": ("c2", "sk-2", False),
        "lab": ("c5", "sk-lab", True),
    }
    assert list(snapshot.combos) == ["team"]
    assert (snapshot.combos["team"].strategy, len(snapshot.combos["team"].steps)) == (
        "round-robin",
        2,
    )
    assert snapshot.combos["team"].system_message == "Be brief."
    assert snapshot.settings["stickyRoundRobinLimit"] == 7
    assert snapshot.aliases == {"mine": "openai/gpt-x"}
    (key,) = snapshot.keys.values()
    assert (key.name, key.scopes, key.allowed_models) == ("mine", ("manage",), ("openai/*",))
    assert asked.status_code == 200
    assert b"sk-plain-1" not in raw
    assert KEY.encode() not in raw
    assert (
        done["connectionCount"],
        done["nodeCount"],
        done["comboCount"],
        done["apiKeyCount"],
    ) == (
        3,
        1,
        1,
        1,
    )
    told = " ".join(done["warnings"])
    for words in (
        "'me@example.com': it signs in",
        "no provider 'nobody'",
        "provider node 'X'",
        "combo 'odd'",
        "API key 'hidden': its text is not in the file",
        "API key 'vague': its allowed_models cannot be read",
        "password, requestRetry",
        "'proxyConfig'",
        "the table usage_history",
    ):
        assert words in told


async def test_what_is_sealed_under_another_key_is_named(
    site: OpenSite, reference_file: bytes
) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        done = await sent(client, reference_file)
        accounts = {row.name: row.api_key for row in opened.engine.snapshot.connections.values()}
    assert accounts["sealed"] is None
    assert any("account 'sealed'" in told for told in done["warnings"])
