"""Destroying: asked about once where the operator wants it, in both eras, and never by default."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitResult, TextContent
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.wire import MODERN, MODERN_LIST, STREAM, set_setting

from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts

pytestmark = pytest.mark.anyio

ERAS = ["legacy", "2026-07-28"]
FLUSH = "omniroute_cache_flush"
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "everything in the cache": (FLUSH, {}),
    "a repair": ("omniroute_db_health_check", {"autoRepair": True}),
    "memories": ("omniroute_memory_clear", {"apiKeyId": "me"}),
}
DOES_NOT_ASK: dict[str, tuple[str, dict[str, Any]]] = {
    "one model's answers": (FLUSH, {"model": "demo/echo"}),
    "a mere check": ("omniroute_db_health_check", {}),
}


class Person:
    """Answers every question alike and remembers them."""

    def __init__(
        self, action: Literal["accept", "decline", "cancel"], content: dict[str, Any] | None
    ) -> None:
        self.asked: list[str] = []
        self._answer = ElicitResult(action=action, content=content)

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        return self._answer


@asynccontextmanager
async def connected(
    data_dir: Path, era: str, person: Person | None, *, confirming: bool = True
) -> AsyncGenerator[Client]:
    settings = load_settings({}, data_dir=data_dir, discover=False)
    with anyio.fail_after(20):
        async with open_engine(settings, {}) as engine:
            await set_setting(engine, "mcpConfirmDestructive", confirming)
            server = parts(engine, Callers(Policy(), over_stdio=True), dict).server()
            async with Client(server, mode=era, elicitation_callback=person) as client:
                yield client


def told(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("tool", "arguments"), ASKS.values(), ids=ASKS)
async def test_a_yes_lets_it_happen(
    tmp_path: Path, era: str, tool: str, arguments: dict[str, Any]
) -> None:
    person = Person("accept", {"confirm": True})
    async with connected(tmp_path, era, person) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, told(result)
    assert len(person.asked) == 1
    assert person.asked[0].endswith(("?", ".")), person.asked


REFUSALS = {
    "declined": Person("decline", None),
    "dismissed": Person("cancel", None),
    "a form without the tick": Person("accept", {"confirm": False}),
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("person", REFUSALS.values(), ids=REFUSALS)
async def test_anything_but_a_yes_does_not(tmp_path: Path, era: str, person: Person) -> None:
    async with connected(tmp_path, era, person) as client:
        result = await client.call_tool(FLUSH, {})
    assert (result.is_error, told(result)) == (True, "Error: Cancelled by user")


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_be_asked_is_told_which_setting(
    tmp_path: Path, era: str
) -> None:
    async with connected(tmp_path, era, None) as client:
        result = await client.call_tool(FLUSH, {})
    assert result.is_error
    assert "mcpConfirmDestructive" in told(result)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("tool", "arguments"), DOES_NOT_ASK.values(), ids=DOES_NOT_ASK)
async def test_what_destroys_little_is_not_asked_about(
    tmp_path: Path, era: str, tool: str, arguments: dict[str, Any]
) -> None:
    person = Person("decline", None)
    async with connected(tmp_path, era, person) as client:
        assert not (await client.call_tool(tool, arguments)).is_error
    assert person.asked == []


async def test_nobody_is_asked_by_default(tmp_path: Path) -> None:
    person = Person("decline", None)
    async with connected(tmp_path, "legacy", person, confirming=False) as client:
        assert not (await client.call_tool(FLUSH, {})).is_error
    assert person.asked == []


async def test_an_answer_to_a_question_nobody_put_is_no_answer(tmp_path: Path) -> None:
    """Without the state that came with the question, the client is asked."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    params = {**MODERN_LIST["params"], "_meta": meta, "name": FLUSH, "arguments": {}}  # type: ignore[dict-item]
    yes = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    named = {**MODERN, "mcp-method": "tools/call", "mcp-name": FLUSH}
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "mcpConfirmDestructive", True)

        async def call(**more: Any) -> dict[str, Any]:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, **more}}
            found: dict[str, Any] = (await client.post(STREAM, json=body, headers=named)).json()
            return found

        asked = (await call(inputResponses=yes))["result"]
        assert asked["resultType"] == "input_required"
        forged = await call(inputResponses=yes, requestState="confirm")
        assert forged["error"]["code"] == -32602
        done = await call(inputResponses=yes, requestState=asked["requestState"])
        assert done["result"]["structuredContent"]["ok"] is True
