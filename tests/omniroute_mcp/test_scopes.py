"""Scopes: where they come from, what they satisfy, and what a refused call looks like."""

from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client
from mcp_types import RequestParamsMeta, TextContent
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import call, enforcing, key

from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts
from omniroute_mcp.scopes import Granted, granted, missing
from omniroute_mcp.tools import TOOLS

KEY, ENV = frozenset({"read:*"}), frozenset({"read:usage"})
NONE: frozenset[str] = frozenset()

GRANTED: dict[str, tuple[frozenset[str], dict[str, Any], frozenset[str], bool, Granted]] = {
    "the key's": (KEY, {}, ENV, False, Granted(KEY, "authInfo")),
    "the key's, before the environment's": (KEY, {}, ENV, True, Granted(KEY, "authInfo")),
    "the environment's": (NONE, {}, ENV, False, Granted(ENV, "env")),
    "none": (NONE, {}, NONE, False, Granted(NONE, "none")),
    "_meta of whoever started us": (
        NONE,
        {"scopes": [" read:health ", "", "read:health"]},
        ENV,
        True,
        Granted(frozenset({"read:health"}), "meta"),
    ),
    "_meta.auth": (
        NONE,
        {"auth": {"scopes": ["a"]}, "omniroute": {"scopes": ["b"]}},
        NONE,
        True,
        Granted(frozenset({"a"}), "meta"),
    ),
    "_meta.omniroute, where the others are empty": (
        NONE,
        {"scopes": [" "], "auth": {"scopes": []}, "omniroute": {"scopes": ["b"]}},
        NONE,
        True,
        Granted(frozenset({"b"}), "meta"),
    ),
    "_meta of the wrong shape": (NONE, {"scopes": "*"}, ENV, True, Granted(ENV, "env")),
    "_meta of the wrong kinds": (NONE, {"scopes": ["*", 1]}, ENV, True, Granted(ENV, "env")),
    "_meta of a stranger": (NONE, {"scopes": ["*"]}, NONE, False, Granted(NONE, "none")),
    "_meta narrows the environment's": (
        NONE,
        {"scopes": ["read:health"]},
        ENV,
        False,
        Granted(NONE, "env"),
    ),
    "_meta narrows a wildcard": (
        KEY,
        {"scopes": ["read:health", "write:budget"]},
        NONE,
        False,
        Granted(frozenset({"read:health"}), "authInfo"),
    ),
    "a wildcard in _meta keeps what the key has": (
        KEY,
        {"scopes": ["*"]},
        NONE,
        False,
        Granted(KEY, "authInfo"),
    ),
}


@pytest.mark.parametrize(
    ("key_scopes", "meta", "environment", "trusted", "expected"), GRANTED.values(), ids=GRANTED
)
def test_granted(
    key_scopes: frozenset[str],
    meta: dict[str, Any],
    environment: frozenset[str],
    trusted: bool,
    expected: Granted,
) -> None:
    assert granted(key_scopes, meta, environment, trusted=trusted) == expected


SATISFIED = {
    "equal": ("read:health", "read:health", True),
    "everything": ("*", "read:health", True),
    "a prefix": ("read:*", "read:health", True),
    "a shorter prefix": ("re*", "read:health", True),
    "another prefix": ("write:*", "read:health", False),
    "part of it": ("read", "read:health", False),
    "more than it": ("read:healthy", "read:health", False),
    "a star in the middle": ("r*:health", "read:health", False),
}


@pytest.mark.parametrize(("held", "required", "enough"), SATISFIED.values(), ids=SATISFIED)
def test_missing(held: str, required: str, enough: bool) -> None:
    assert missing([required], frozenset({held})) == ([] if enough else [required])


REQUIRED = [(row.name, scope) for row in TOOLS.values() for scope in sorted(row.scopes)]


def denied(result: dict[str, Any]) -> bool:
    """Whether a call was refused for lack of scopes, rather than for its arguments."""
    return " needs scopes " in result["content"][0]["text"]


@pytest.mark.anyio
async def test_every_tool_needs_every_one_of_its_scopes(tmp_path: Path) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        poor = {
            (name, lacking): await call(
                client, name, headers=await key(engine, "mcp", *(TOOLS[name].scopes - {lacking}))
            )
            for name, lacking in REQUIRED
        }
        for (name, lacking), result in poor.items():
            assert result["isError"]
            text = result["content"][0]["text"]
            assert text.startswith(f"Error: {name} needs scopes {lacking} (caller "), text
            assert text.endswith(", from authInfo)")
        everything = await key(engine, "*")
        exact = {
            name: await call(client, name, headers=await key(engine, "mcp", *row.scopes))
            for name, row in TOOLS.items()
        }
        assert not any(map(denied, exact.values()))
        for name in TOOLS:
            assert not denied(await call(client, name, headers=everything))


@pytest.mark.anyio
async def test_read_everything_opens_what_only_reads(tmp_path: Path) -> None:
    async with enforcing(tmp_path) as (engine, client, _):
        reader = await key(engine, "mcp", "read:*")
        refused = {name for name in TOOLS if denied(await call(client, name, headers=reader))}
    writing = {n for n, row in TOOLS.items() if any(not s.startswith("read:") for s in row.scopes)}
    assert refused == writing


META = {
    "narrowed": (["mcp", "read:*"], ["read:combos"], True),
    "kept": (["mcp", "read:*"], ["read:health"], False),
    "not widened": (["mcp"], ["read:health"], True),
    "not widened by a star": (["mcp"], ["*"], True),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("held", "asserted", "refused"), META.values(), ids=META)
@pytest.mark.parametrize("place", ["", "auth", "omniroute"])
async def test_meta_over_http_never_widens(
    tmp_path: Path, place: str, held: list[str], asserted: list[str], refused: bool
) -> None:
    meta = {place: {"scopes": asserted}} if place else {"scopes": asserted}
    async with enforcing(tmp_path) as (engine, client, _):
        headers = await key(engine, *held)
        result = await call(client, "omniroute_get_health", meta=meta, headers=headers)
    assert denied(result) is refused


@pytest.mark.anyio
async def test_without_enforcement_scopes_do_not_matter(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        result = await call(client, "omniroute_get_health", headers=await key(engine, "mcp"))
    assert not result.get("isError", False)


@pytest.mark.anyio
async def test_the_environment_grants_to_who_brings_none(tmp_path: Path) -> None:
    environ = {"OMNIROUTE_MCP_ENFORCE_SCOPES": "true", "OMNIROUTE_MCP_SCOPES": "read:health, x"}
    async with application(tmp_path, **environ) as (_, client, _):
        allowed = await call(client, "omniroute_get_health")
        refused = await call(client, "omniroute_cache_stats")
    assert not allowed.get("isError", False)
    assert refused["content"][0]["text"] == (
        "Error: omniroute_cache_stats needs scopes read:cache (caller anonymous, from env)"
    )


@pytest.mark.anyio
async def test_over_stdio_meta_is_believed(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, _, _):
        policy = Policy(enforce=True, stdio_key_id="laptop")
        async with Client(parts(engine, Callers(policy, over_stdio=True), dict).server()) as client:
            bare = await client.call_tool("omniroute_get_health", {})
            meta = cast("RequestParamsMeta", {"scopes": ["read:health"]})
            asserted = await client.call_tool("omniroute_get_health", {}, meta=meta)
    assert isinstance(bare.content[0], TextContent)
    assert bare.content[0].text == (
        "Error: omniroute_get_health needs scopes read:health (caller laptop, from none)"
    )
    assert not asserted.is_error
