"""Applying a file: whole, once, and only to what belongs to files."""

from pathlib import Path

import anyio
import msgspec
import pytest
from tests.omniroute.operations.configuration_file.conftest import OpenEngine

from omniroute.caller import SYSTEM, Caller
from omniroute.engine import Engine
from omniroute.operations.access.key_inputs import KeyInput
from omniroute.operations.access.keys import create_key
from omniroute.operations.accounts.connections import ConnectionInput, create_connection
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.configuration.config_files import (
    apply_configuration,
    export_configuration,
    plan_configuration,
)
from omniroute.operations.configuration.configuration_file.document import ConfigurationRefused
from omniroute.storage.records.audit import AuditFilter

pytestmark = pytest.mark.anyio

FIRST = """
[settings]
fallbackStrategy = "p2c"

[nodes.llm]
name = "Ours"
api_type = "chat"
base_url = "http://llm.test/v1"

[accounts.openai.main]
api_key = { env = "OPENAI_KEY" }
options = { extraApiKeys = [{ env = "TEAM_KEY" }] }

[accounts.llm.one]
api_key = { file = "keys/llm" }

[combos.fast]
models = ["slow", { model = "llm/x", account = "llm/one" }]

[combos.slow]
models = ["openai/gpt-4o"]

[keys.team]
key = { env = "TEAM_KEY" }
scopes = ["chat"]

[budgets.key.team]
daily_limit_usd = 2.5

[aliases]
quick = "openai/gpt-4o-mini"

[mappings."claude-*"]
combo = "fast"

[proxies.corp]
host = "proxy.example"
port = 3128
password = { env = "PROXY_PASSWORD" }
for = ["account:llm/one"]
"""


async def told(engine: Engine, text: str, *, prune: bool = False) -> list[tuple[str, str]]:
    plan = await plan_configuration(engine, SYSTEM, text, prune=prune)
    return [(one.action, one.name) for one in plan.changes]


async def apply(engine: Engine, text: str = FIRST, *, prune: bool = False) -> None:
    place = engine.data_dir / "keys"
    place.mkdir(exist_ok=True)
    await anyio.Path(place / "llm").write_text("sk-from-a-file\n")
    await apply_configuration(engine, SYSTEM, text, prune=prune)


async def test_the_next_request_sees_all_of_it(engine: Engine) -> None:
    before = engine.snapshot
    await apply(engine)
    now = engine.snapshot
    assert before.combos == {}
    assert now.settings["fallbackStrategy"] == "p2c"
    node = now.nodes[now.prefixes["llm"]]
    (own,) = now.accounts[node.id]
    assert own.api_key == "sk-from-a-file"
    assert own.options["baseUrl"] == "http://llm.test/v1"
    (openai,) = now.accounts["openai"]
    assert openai.api_key == "sk-openai"
    assert openai.options["extraApiKeys"] == ["omr-team-key-of-16-characters"]
    assert [getattr(step, "connection_id", None) for step in now.combos["fast"].steps] == [
        None,
        own.id,
    ]
    key = now.keys[engine.admission.hash_key("omr-team-key-of-16-characters")]
    assert now.budgets["key", key.id].daily_micro_usd == 2_500_000
    assert now.proxying.route(own).via is not None
    assert now.proxying.route(openai).via is None
    assert await told(engine, FIRST) == []


async def test_applying_again_changes_nothing(engine: Engine) -> None:
    await apply(engine)
    version = engine.snapshot.version
    again = await apply_configuration(engine, SYSTEM, FIRST)
    assert (again.changes, again.keys, engine.snapshot.version) == ([], [], version)


CHANGES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "a setting": ('"p2c"', '"random"', [("update", "settings.fallbackStrategy")]),
    "an address": (
        "llm.test",
        "other.test",
        [("update", "nodes.llm")],
    ),
    "a name": (
        "[combos.slow]",
        "[combos.slower]",
        [("update", "combos.fast"), ("create", "combos.slower"), ("delete", "combos.slow")],
    ),
    "an order of steps": (
        '["slow", { model = "llm/x", account = "llm/one" }]',
        '[{ model = "llm/x", account = "llm/one" }, "slow"]',
        [("update", "combos.fast")],
    ),
    "what a proxy is for": (
        '["account:llm/one"]',
        '["global", "account:llm/one"]',
        [("update", "proxies.corp")],
    ),
    "a mapping": ("claude-*", "gpt-*", [
        ("create", 'mappings."gpt-*"'), ("delete", 'mappings."claude-*"')
    ]),
    "a secret": ('{ file = "keys/llm" }', '{ env = "OPENAI_KEY" }', [
        ("update", "accounts.llm.one")
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "changes"), CHANGES.values(), ids=CHANGES)
async def test_what_differs_is_changed_and_nothing_else(
    engine: Engine, old: str, new: str, changes: list[tuple[str, str]]
) -> None:
    await apply(engine)
    text = FIRST.replace(old, new)
    assert await told(engine, text) == changes
    await apply(engine, text)
    assert await told(engine, text) == []


async def test_a_secret_is_never_in_a_plan_an_audit_entry_or_an_export(engine: Engine) -> None:
    await apply(engine)
    changed = FIRST.replace('{ file = "keys/llm" }', '{ env = "OPENAI_KEY" }')
    plan = await plan_configuration(engine, SYSTEM, changed)
    (field,) = plan.changes[0].fields
    assert (field.field, field.secret, field.before, field.after) == (
        "api_key", True, msgspec.UNSET, msgspec.UNSET
    )  # fmt: skip
    applied = await apply_configuration(engine, SYSTEM, changed)
    assert applied.keys == []
    exported = await export_configuration(engine, SYSTEM)
    async with engine.database.reading() as work:
        entries, _ = await work.audit_log.page(AuditFilter(), 10, 0)
    said = [msgspec.json.encode(one).decode() for one in (plan, applied, exported, entries)]
    secrets = ["sk-openai", "sk-from-a-file", "let me in", "omr-team-key"]
    assert [one for one in secrets if any(one in text for text in said)] == []
    assert "LLM_ONE_API_KEY" in exported.variables


async def test_the_audit_log_names_what_was_changed(engine: Engine) -> None:
    await apply(engine, "[settings]\nmcpEnabled = false\na2aEnabled = false")
    await apply(engine, "[settings]\nmcpEnabled = true\ndebugMode = false")
    async with engine.database.reading() as work:
        entries, _ = await work.audit_log.page(AuditFilter(), 1, 0)
    entry = entries[0]
    assert (entry.action, entry.target) == ("configuration.applied", "omniroute.toml")
    assert entry.details == {
        "created": ["settings.debugMode"],
        "updated": {"settings.mcpEnabled": ["value"]},
        "deleted": ["settings.a2aEnabled"],
    }


async def test_what_never_came_from_a_file_is_left_alone(engine: Engine) -> None:
    await create_combo(engine, SYSTEM, ComboInput(name="mine", models=["openai/x"]))
    await create_connection(
        engine, SYSTEM, ConnectionInput(provider="openai", name="mine", api_key="sk-mine")
    )
    await apply(engine)
    plan = await plan_configuration(engine, SYSTEM, "")
    left = [one.name for one in plan.changes]
    assert plan.left_alone == ["accounts.openai.mine", "combos.mine"]
    assert "combos.mine" not in left
    assert {one.action for one in plan.changes} == {"delete"}
    await apply(engine, "")
    assert set(engine.snapshot.combos) == {"mine"}
    assert await told(engine, "", prune=True) == [
        ("delete", "accounts.openai.mine"),
        ("delete", "combos.mine"),
    ]
    await apply(engine, "", prune=True)
    assert engine.snapshot.combos == {}


async def test_what_is_named_in_a_file_belongs_to_it_from_then_on(engine: Engine) -> None:
    await create_combo(engine, SYSTEM, ComboInput(name="mine", models=["openai/x"]))
    text = '[combos.mine]\nmodels = ["openai/x"]'
    plan = await plan_configuration(engine, SYSTEM, text)
    assert (plan.changes, plan.adopted) == ([], ["combos.mine"])
    await apply(engine, text)
    assert await told(engine, "") == [("delete", "combos.mine")]


async def test_what_goes_with_something_is_told_as_well(engine: Engine) -> None:
    await apply(engine)
    without = FIRST.replace("llm", "other").replace(
        '{ file = "keys/other" }', '{ env = "OPENAI_KEY" }'
    )
    names = await told(engine, without)
    assert ("delete", "nodes.llm") in names
    assert ("delete", "accounts.llm.one") in names


async def test_a_key_without_a_text_gets_one_that_is_told_once(engine: Engine) -> None:
    applied = await apply_configuration(engine, SYSTEM, "[keys.new]\nscopes = ['chat']")
    (made,) = applied.keys
    assert made.name == "new"
    assert engine.admission.hash_key(made.key) in engine.snapshot.keys
    again = await apply_configuration(engine, SYSTEM, "[keys.new]\nscopes = ['manage']")
    assert again.keys == []
    assert engine.admission.hash_key(made.key) in engine.snapshot.keys


async def test_nobody_grants_more_than_they_have_or_deletes_their_own_key(engine: Engine) -> None:
    await create_key(engine, SYSTEM, KeyInput(name="mine", scopes=("manage",)))
    (key,) = engine.snapshot.keys.values()
    with_key = Caller(door="http", key_id=key.id, scopes=frozenset({"manage"}), is_operator=True)
    with pytest.raises(ConfigurationRefused, match="may not grant what it lacks itself: admin"):
        await apply_configuration(engine, with_key, "[keys.b]\nscopes = ['admin']")
    with pytest.raises(ConfigurationRefused, match="cannot delete itself"):
        await apply_configuration(engine, with_key, "", prune=True)
    with pytest.raises(ConfigurationRefused, match="cannot take its own rights away"):
        await apply_configuration(engine, with_key, "[keys.mine]\nscopes = []")


async def test_files_are_applied_one_after_the_other(engine: Engine) -> None:
    texts = [f'[combos.c{place}]\nmodels = ["openai/{place}"]' for place in range(6)]
    async with anyio.create_task_group() as group:
        for text in texts:
            group.start_soon(apply_configuration, engine, SYSTEM, text)
    assert len(engine.snapshot.combos) == 1


async def test_an_account_keeps_what_the_gateway_found_out(engine: Engine) -> None:
    await apply(engine)
    (account,) = engine.snapshot.accounts["openai"]
    async with engine.configuration.noted() as work:
        known = {**account.options, "models": ["a"]}
        tested = msgspec.structs.replace(account, options=known, test_status="active")
        await work.connections.save(tested)
    assert await told(engine, FIRST) == []
    await apply(
        engine, FIRST.replace("[accounts.openai.main]", "[accounts.openai.main]\npriority = 3")
    )
    (account,) = engine.snapshot.accounts["openai"]
    assert (account.priority, account.options["models"], account.test_status) == (
        3, ["a"], "active",
    )  # fmt: skip


async def test_variables_of_the_gateway_are_looked_up_where_it_runs(
    open_in: OpenEngine, tmp_path: Path
) -> None:
    text = '[accounts.openai.main]\napi_key = { env = "OPENAI_KEY" }'
    async with open_in("other", {"OPENAI_KEY": "sk-other"}) as engine:
        await apply_configuration(engine, SYSTEM, text)
        assert engine.snapshot.accounts["openai"][0].api_key == "sk-other"
