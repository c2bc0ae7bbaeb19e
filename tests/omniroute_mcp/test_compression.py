"""Descriptions are listed in fewer characters, unless somebody wants them whole. 03 §7."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.omniroute_mcp.wire import set_setting

from omniroute.engine import Engine
from omniroute.pipeline.compression.condensing import condensed
from omniroute.pipeline.compression.descriptions import DescriptionCounts
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.changes import marks
from omniroute_mcp.door import Parts, parts
from omniroute_mcp.listing import is_condensed, listed
from omniroute_mcp.prompts import PROMPTS
from omniroute_mcp.resources.rows import ROWS
from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

WHOLE = {
    "tools": [row.description for row in TOOLS.values()],
    "prompts": [row.description for row in PROMPTS.values()],
    "templates": [row.description for row in ROWS if row.is_template],
}
SHORT = {name: [condensed(text) for text in texts] for name, texts in WHOLE.items()}
OFF = {"mcpDescriptionCompressionEnabled": False}


@asynccontextmanager
async def opened(data_dir: Path, **environ: str) -> AsyncGenerator[tuple[Engine, Parts, Client]]:
    """An engine, what is behind its door, and a client."""
    settings = load_settings(environ, data_dir=data_dir, discover=False)
    async with open_engine(settings, environ) as engine:
        behind = parts(engine, Callers(Policy(), over_stdio=True), dict)
        async with Client(behind.server()) as client:
            yield engine, behind, client


async def said(client: Client) -> dict[str, list[Any]]:
    """Every description a client is shown."""
    return {
        "tools": [one.description for one in (await client.list_tools()).tools],
        "prompts": [one.description for one in (await client.list_prompts()).prompts],
        "templates": [
            one.description for one in (await client.list_resource_templates()).resource_templates
        ],
    }


async def test_what_is_listed_is_short_and_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (engine, _, client):
        assert engine.descriptions.counts == DescriptionCounts()
        tools = (await client.list_tools()).tools
        counts = engine.descriptions.counts
    assert [one.description for one in tools] == SHORT["tools"]
    pairs = list(zip(WHOLE["tools"], SHORT["tools"], strict=True))
    saved = [(len(whole), len(short)) for whole, short in pairs if len(short) < len(whole)]
    assert counts == DescriptionCounts(
        descriptions_compressed=len(saved),
        chars_before=sum(before for before, _ in saved),
        chars_after=sum(after for _, after in saved),
    )
    assert 0 < counts.chars_saved <= 4 * counts.estimated_tokens_saved < counts.chars_saved + 4
    whole = [listed(row).model_dump(mode="json") for row in TOOLS.values()]
    for one, row in zip(tools, whole, strict=True):
        assert one.model_dump(mode="json") == {**row, "description": one.description}


async def test_the_setting_switches_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (engine, behind, client):
        assert await said(client) == SHORT
        for setting, expected in ((OFF, WHOLE), ({}, SHORT)):
            await set_setting(engine, "compression", setting)
            async with Client(behind.server()) as other:  # a client keeps what it was told
                assert await said(other) == expected


ENVIRONMENTS: dict[str, tuple[dict[str, str], bool]] = {
    "nothing said": ({}, True),
    "either is off": ({"OMNIROUTE_MCP_COMPRESS_DESCRIPTIONS": "Off"}, False),
    "the other is off": (
        {
            "OMNIROUTE_MCP_COMPRESS_DESCRIPTIONS": "1",
            "OMNIROUTE_MCP_DESCRIPTION_COMPRESSION": "no",
        },
        False,
    ),
    "both are on": (
        {
            "OMNIROUTE_MCP_COMPRESS_DESCRIPTIONS": "true",
            "OMNIROUTE_MCP_DESCRIPTION_COMPRESSION": "yes",
        },
        True,
    ),
}


@pytest.mark.parametrize(("environ", "on"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
async def test_the_environment_can_switch_it_off(
    tmp_path: Path, environ: dict[str, str], on: bool
) -> None:
    async with opened(tmp_path, **environ) as (engine, _, client):
        assert is_condensed(engine) is on
        assert await said(client) == (SHORT if on else WHOLE)


async def test_switching_it_changes_the_list_of_tools(tmp_path: Path) -> None:
    async with opened(tmp_path) as (engine, behind, _):
        assert await behind.changes.publish() == 0
        await set_setting(engine, "compression", OFF)
        assert await behind.changes.publish() == 2  # and omniroute://compression
        assert "tools/list" in marks(engine, None)


async def test_what_listing_saves_is_written_down_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (engine, _, client):
        await client.list_tools()
        counts = engine.descriptions.counts
        shown = [
            (await client.call_tool("omniroute_compression_status", {})).structured_content
            for _ in range(2)
        ]
        stats = await client.call_tool("omniroute_compression_combo_stats", {})
        async with engine.database.reading() as work:
            stored = await work.compression.descriptions(0)
    told: Any = [one["analytics"]["mcpDescriptionCompression"] for one in shown]
    assert told[0] == told[1]
    assert told[0] == {
        "descriptionsCompressed": counts.descriptions_compressed,
        "charsBefore": counts.chars_before,
        "charsAfter": counts.chars_after,
        "charsSaved": counts.chars_saved,
        "estimatedTokensSaved": counts.estimated_tokens_saved,
        "persistedEstimatedTokensSaved": counts.estimated_tokens_saved,
        "persistedSnapshots": 1,
        "source": "mcp_metadata_estimate",
        "notProviderUsage": True,
    }
    assert stored == (1, counts.estimated_tokens_saved)
    assert stats.structured_content == shown[0]["analytics"]


ENGINES: dict[str, tuple[bool, str]] = {
    "off": (False, "off"),
    "caveman": (True, "standard"),
    "rtk": (True, "rtk"),
    "stacked": (True, "stacked"),
}


@pytest.mark.parametrize(("chosen", "stored"), ENGINES.items(), ids=ENGINES)
async def test_an_engine_is_a_mode(tmp_path: Path, chosen: str, stored: tuple[bool, str]) -> None:
    asked = {"engine": chosen, "cavemanIntensity": "ultra", "rtkIntensity": "aggressive"}
    async with opened(tmp_path) as (engine, _, client):
        result = await client.call_tool("omniroute_set_compression_engine", asked)
        now = engine.snapshot.compression
    assert result.structured_content["success"] is True
    assert (now.enabled, now.default_mode) == stored
    assert now.caveman_config.enabled is (chosen in ("caveman", "stacked"))
    assert now.rtk_config.enabled is (chosen in ("rtk", "stacked"))
    assert (now.caveman_config.intensity, now.rtk_config.intensity) == ("ultra", "aggressive")
