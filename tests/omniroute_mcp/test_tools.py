"""Every tool of the table, called once so that it works and once so that it fails."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema_rs import validator_for
from mcp import Client
from mcp_types import CallToolResult, TextContent
from tests.omniroute_mcp.tools import (
    caches,
    combos,
    compression,
    memory,
    models,
    money,
    proxies,
    quotas,
    routing,
    search,
    skills,
    system,
)
from tests.omniroute_mcp.tools.example import Example, populate
from tests.support.price_lists import served

from omniroute.engine import Engine
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts
from omniroute_mcp.listing import listed
from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

SUBJECTS = (
    system,
    caches,
    combos,
    compression,
    models,
    money,
    proxies,
    quotas,
    routing,
    search,
    memory,
    skills,
)
EXAMPLES: Mapping[str, Example] = {
    name: one for subject in SUBJECTS for name, one in subject.EXAMPLES.items()
}
FOUND = (
    b'{"results":[{"title":"Async in Rust","url":"https://www.a.io/x?y=1","content":"It waits."}]}'
)
LISTED = {row.name: listed(row) for row in TOOLS.values()}


def test_every_tool_has_an_example() -> None:
    assert set(EXAMPLES) == set(TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_annotations_say_what_a_tool_does(name: str) -> None:
    said, letters = LISTED[name].annotations, EXAMPLES[name].annotations.split()
    assert said is not None
    assert (said.read_only_hint, said.destructive_hint) == ("R" in letters, "D" in letters)
    assert (said.idempotent_hint, said.open_world_hint) == ("I" in letters, "O" in letters)


LIMITS_S = {
    "omniroute_web_search": 60.0,
    # What waits for a model or a skill may take as long as over HTTP.
    "omniroute_route_request": 600.0,
    "omniroute_skills_execute": 600.0,
}


@pytest.mark.parametrize("name", TOOLS)
def test_a_call_has_its_time_limit(name: str) -> None:
    row = TOOLS[name]
    is_quick = row.phase == 1 or name.startswith(("omniroute_memory_", "omniroute_skills_"))
    assert row.time_limit_s == LIMITS_S.get(name, 10.0 if is_quick else 30.0)


@asynccontextmanager
async def connected(data_dir: Path, policy: Policy) -> AsyncGenerator[tuple[Engine, Client]]:
    """An engine with the world of the examples, and a client of its tools."""
    async with served() as lists:
        lists.answers["/models-dev"] = ("500 Not today", b"")
        lists.answers["/search?q=rust+async&format=json&categories=general"] = ("200 OK", FOUND)
        settings = load_settings(lists.environ, data_dir=data_dir, discover=False)
        async with open_engine(settings, lists.environ) as engine:
            await populate(engine)
            server = parts(engine, Callers(policy, over_stdio=True), dict).server()
            async with Client(server) as client:
                yield engine, client


def told(result: CallToolResult) -> str:
    """The text of a result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("name", TOOLS)
async def test_a_tool_that_works_gives_what_it_declares(tmp_path: Path, name: str) -> None:
    tool, example = LISTED[name], EXAMPLES[name]
    async with connected(tmp_path, Policy()) as (engine, client):
        arguments = {**example.works, **await example.before(engine)}
        result = await client.call_tool(name, arguments)
    assert not result.is_error, told(result)
    assert tool.output_schema is not None
    validator_for(tool.input_schema).validate(arguments)
    validator_for(tool.output_schema).validate(result.structured_content)
    output: dict[str, Any] = result.structured_content
    text = told(result)
    assert json.loads(text) == output
    assert text == msgspec.json.format(text, indent=2)
    assert {field: output[field] for field in example.gives} == example.gives


@pytest.mark.parametrize("name", TOOLS)
async def test_a_tool_that_fails_says_what_to_do(tmp_path: Path, name: str) -> None:
    example = EXAMPLES[name]
    arguments, text = example.fails, example.text
    if arguments is None:  # all that can be missing is the permission
        scopes = ", ".join(sorted(TOOLS[name].scopes))
        arguments = {}
        text = f"Error: {name} needs scopes {scopes} (caller anonymous, from none)"
    async with connected(tmp_path, Policy(enforce=example.fails is None)) as (engine, client):
        result = await client.call_tool(name, {**arguments, **await example.before(engine)})
    assert (result.is_error, told(result)) == (True, text)
