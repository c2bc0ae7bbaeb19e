"""Listing: pages, cursors, and what every tool says of itself."""

import base64
from typing import Any

import pytest
from jsonschema_rs import meta
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Tool

from omniroute_mcp import paging
from omniroute_mcp.icons import icon
from omniroute_mcp.listing import listed
from omniroute_mcp.tools import TOOLS

LISTED = {row.name: listed(row) for row in TOOLS.values()}


@pytest.mark.parametrize("size", [1, 4, len(TOOLS), 50])
def test_pages_hold_every_item_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(paging, "PAGE", size)
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor is not None:
        names, cursor = paging.page("tools", list(TOOLS), cursor)
        pages.append(names)
    assert all(len(names) == size for names in pages[:-1])
    assert 0 < len(pages[-1]) <= size
    assert [name for names in pages for name in names] == list(TOOLS)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


BAD_CURSORS = {
    "empty": "",
    "not base64": "a",
    "not ASCII": "é",
    "not UTF-8": base64.urlsafe_b64encode(b"\xff").decode(),
    "of another list": encoded("prompts:0"),
    "not a number": encoded("tools:one"),
    "negative": encoded("tools:-1"),
    "past the end": encoded(f"tools:{len(TOOLS)}"),
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(MCPError) as refused:
        paging.page("tools", list(TOOLS), cursor)
    assert refused.value.error.code == INVALID_PARAMS


def references(schema: Any) -> set[str]:
    """Every `$ref` anywhere in a schema."""
    if isinstance(schema, list):
        return {ref for one in schema for ref in references(one)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
    return own | {ref for one in schema.values() for ref in references(one)}


def has_bare_false(schema: Any) -> bool:
    """Whether `false` stands where many readers want a schema."""
    if isinstance(schema, list):
        return any(map(has_bare_false, schema))
    if not isinstance(schema, dict):
        return False
    return schema.get("items") is False or any(map(has_bare_false, schema.values()))


@pytest.mark.parametrize("side", ["input_schema", "output_schema"])
@pytest.mark.parametrize("tool", LISTED.values(), ids=LISTED)
def test_schemas_stand_on_their_own(tool: Tool, side: str) -> None:
    schema = getattr(tool, side)
    meta.validate(schema)
    assert schema["type"] == "object"
    assert not has_bare_false(schema)
    assert references(schema) <= {f"#/$defs/{name}" for name in schema.get("$defs", {})}


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_says_what_it_needs(name: str) -> None:
    row, tool = TOOLS[name], LISTED[name]
    assert row.name.startswith("omniroute_")
    assert row.scopes, "a tool without scopes is open to every key"
    assert (tool.title, tool.description) == (row.title, row.description)
    assert tool.icons == [icon(row.subject)]
    assert tool.icons[0].src.startswith("data:image/svg+xml;base64,")
    assert row.subject != "server", "a tool shows what it is about"
    assert tool.meta == {
        "omniroute/scopes": sorted(row.scopes),
        "omniroute/phase": row.phase,
        "omniroute/auditLevel": row.audit,
    }
