"""The tools about tool skills, by a client: what runs, for whom, and what is written down of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import TextContent
from msgspec.structs import replace
from tests.omniroute_mcp.conftest import application
from tests.omniroute_mcp.tools.example import OPERATOR
from tests.omniroute_mcp.wire import call, key, set_setting

from omniroute.engine import Engine
from omniroute.operations.progress import silent
from omniroute.operations.skills.executions import (
    INTERRUPTED,
    SkillRun,
    execute_skill,
    settle_interrupted,
)
from omniroute.operations.skills.skills import SkillManifest, SkillSchema, install_skill
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute.storage.records.skills import SkillExecution
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts

pytestmark = pytest.mark.anyio

LIST, ENABLE, EXECUTE, EXECUTIONS = (
    f"omniroute_skills_{verb}" for verb in ("list", "enable", "execute", "executions")
)
ME = {"apiKeyId": "me"}
NUMBER = SkillSchema(
    input={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
)


BEGUN = asyncio.Event()


async def double(call: ToolCall) -> Any:
    """Twice a number, and all the ways not to say it."""
    number = call.arguments["n"]
    await call.report(0.5, "half of it")
    if number == 13:
        raise ToolFailed("Thirteen is not doubled; use another number.")
    if number == 0:
        raise RuntimeError("canary")
    if number < 0:
        BEGUN.set()
        await asyncio.Event().wait()
    return {"twice": 2 * number} if number < 1_000 else "x" * 100_000


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[Engine]:
    """An engine whose skill `double` may take a twentieth of a second."""
    settings = load_settings({}, data_dir=data_dir, discover=False)
    async with open_engine(settings, {}) as engine:
        tool = ToolHandler("double", "Twice a number.", (), NUMBER.input, {}, double)
        engine.tools.handlers["double"] = tool  # type: ignore[index]
        await set_setting(engine, "skillsEnabled", True)
        manifest = SkillManifest(name="double", handler_code="double", schema=NUMBER)
        await install_skill(engine, OPERATOR, manifest)
        yield engine


async def asked(engine: Engine, tool: str, /, **arguments: Any) -> Any:
    """The structured answer of a call over stdio, or the text of its failure."""
    async with Client(parts(engine, Callers(Policy(), over_stdio=True), dict).server()) as client:
        result = await client.call_tool(tool, arguments)
    if result.is_error:
        assert isinstance(result.content[0], TextContent)
        return result.content[0].text
    return result.structured_content


async def run(engine: Engine, number: Any, name: str = "double") -> Any:
    return await asked(engine, EXECUTE, **ME, skillName=name, input={"n": number})


ENDED: dict[str, tuple[int, dict[str, Any]]] = {
    "with a result": (4, {"status": "success", "output": {"twice": 8}, "error": None}),
    "with a reason": (
        13,
        {
            "status": "error",
            "output": None,
            "error": "Thirteen is not doubled; use another number.",
        },
    ),
    "unexpectedly": (
        0,
        {
            "status": "error",
            "output": None,
            "error": "The skill failed; the log has the details.",
        },
    ),
}


@pytest.mark.parametrize(("number", "ending"), ENDED.values(), ids=ENDED)
async def test_an_execution_ends(tmp_path: Path, number: int, ending: dict[str, Any]) -> None:
    async with opened(tmp_path) as engine:
        ended = await run(engine, number)
        listed = await asked(engine, EXECUTIONS, **ME)
        others = await asked(engine, EXECUTIONS, apiKeyId="you")
    assert {name: ended[name] for name in ending} == ending
    assert ended["duration"] >= 0
    line = {name: value for name, value in ended.items() if name != "output"}
    assert listed == {"executions": [line], "count": 1}
    assert others == {"executions": [], "count": 0}


async def test_an_execution_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        object.__setattr__(engine.tools, "time_limit_s", 0.05)
        with anyio.fail_after(10):
            ended = await run(engine, -1)
    assert (ended["status"], ended["error"]) == ("timeout", "It took longer than 0.05 s.")


async def test_a_cancelled_execution_is_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        BEGUN.clear()
        wanted = SkillRun(api_key_id="me", skill_name="double", input={"n": -1})
        running = asyncio.create_task(execute_skill(engine, OPERATOR, wanted, silent))
        with anyio.fail_after(10):
            await BEGUN.wait()
            (begun,) = await executions(engine)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        (ended,) = await executions(engine)
    assert begun.status == "running"
    assert (ended.status, ended.error_message) == ("error", "It was cancelled.")


async def executions(engine: Engine) -> list[SkillExecution]:
    async with engine.database.reading() as work:
        return await work.executions.page(None, 10)


async def test_what_a_dead_process_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await run(engine, 1)
        (ended,) = await executions(engine)
        home = engine.tools.holder.rpartition(":")[0]
        for name, holder in (("dead", f"{home}:1-dead"), ("alive", engine.tools.holder)):
            left = replace(ended, id=name, status="running", holder=holder, duration_ms=None)
            async with engine.database.work() as work:
                await work.executions.add(left)
        assert await settle_interrupted(engine) == 1
        found = {one.id: (one.status, one.error_message) for one in await executions(engine)}
    assert found["dead"] == ("error", INTERRUPTED)
    assert found["alive"] == ("running", None)
    settings = load_settings({}, data_dir=tmp_path, discover=False)
    async with open_engine(settings, {}) as engine:
        assert {one.status for one in await executions(engine)} == {"success", "error"}


async def test_progress_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with opened(tmp_path) as engine:
        server = parts(engine, Callers(Policy(), over_stdio=True), dict).server()
        async with Client(server, mode="legacy") as client:  # with a token, as over a wire
            arguments = {**ME, "skillName": "double", "input": {"n": 1}}
            await client.call_tool(EXECUTE, arguments, progress_callback=note)
    assert told == ["double@1.0.0 is pending", "half of it"]


async def test_long_outputs_are_stored_cut(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await run(engine, 1_000)
        (stored,) = await executions(engine)
    assert len(ended["output"]) == 100_000
    assert (stored.output["truncated"], len(stored.output["json"])) == (True, 65_536)


REFUSED: dict[str, tuple[str, Any, str]] = {
    "an input that does not fit": ("double", "four", "Error: input.n: "),
    "an unknown skill": ("dubble", 1, "Did you mean 'double'?"),
    "an unknown version": ("double@2.0.0", 1, "there are these versions: 1.0.0"),
    "no version": ("double@latest", 1, "Error: skillName: must be a name"),
}


@pytest.mark.parametrize(("name", "number", "told"), REFUSED.values(), ids=REFUSED)
async def test_refusals_leave_no_execution(
    tmp_path: Path, name: str, number: Any, told: str
) -> None:
    async with opened(tmp_path) as engine:
        assert told in await run(engine, number, name)
        assert await executions(engine) == []


async def test_off_is_off(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        skill = (await asked(engine, LIST, **ME, name="doub"))["skills"][0]
        off = await asked(engine, ENABLE, **ME, skillId=skill["id"], enabled=False)
        refused = await run(engine, 1)
        listed = await asked(engine, LIST, enabled=False)
        await asked(engine, ENABLE, **ME, skillId=skill["id"], enabled=True)
        again = await run(engine, 1, "double@^1.0.0")
        await set_setting(engine, "skillsEnabled", False)
        disabled = await run(engine, 1)
    assert off == {"success": True, "skillId": skill["id"], "enabled": False}
    assert refused == "Error: The skill 'double' is switched off; enable it first."
    assert [one["name"] for one in listed["skills"]] == ["double"]
    assert again["status"] == "success"
    assert "skillsEnabled" in disabled


async def test_a_skill_without_a_tool_behind_it_fails(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await install_skill(engine, OPERATOR, SkillManifest(name="x", handler_code="rm -rf"))
        ended = await run(engine, 1, "x")
    assert (ended["status"], "http_request" in ended["error"]) == ("error", True)


async def test_keys_have_their_own_skills_before_shared_ones(tmp_path: Path) -> None:
    async with application(tmp_path) as (engine, client, _):
        await set_setting(engine, "skillsEnabled", True)
        scopes = ("mcp", "read:skills", "write:skills", "execute:skills")
        mine = await key(engine, *scopes)
        await key(engine, *scopes)
        me, you = (one.id for one in engine.snapshot.keys.values())
        own = SkillManifest(name="file_write", handler_code="file_read", api_key_id=me)
        theirs = SkillManifest(name="secret", handler_code="file_read", api_key_id=you)
        for manifest in (own, theirs):
            await install_skill(engine, OPERATOR, manifest)
        listed = await call(client, LIST, headers=mine)
        wanted = {"apiKeyId": me, "skillName": "file_write", "input": {"path": "none"}}
        ran = await call(client, EXECUTE, wanted, headers=mine)
        refused = [
            await call(client, EXECUTE, {**wanted, "apiKeyId": you}, headers=mine),
            await call(client, EXECUTE, {**wanted, "skillName": "secret"}, headers=mine),
            await call(client, EXECUTIONS, {"apiKeyId": you}, headers=mine),
            await call(
                client,
                ENABLE,
                {"apiKeyId": me, "skillId": "builtin-file_read", "enabled": False},
                headers=mine,
            ),
        ]
        count = await call(client, EXECUTIONS, headers=mine)
    names = [one["name"] for one in listed["structuredContent"]["skills"]]
    assert names == ["file_read", "file_write", "file_write", "http_request", "web_search"]
    assert ran["structuredContent"]["error"] == "There is no such file in the workspace."
    assert [one["isError"] for one in refused] == [True] * 4
    assert "only operators" in refused[3]["content"][0]["text"]
    assert count["structuredContent"]["count"] == 1


async def test_logs_and_audit_do_not_say_what_skills_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as engine:
        content = {"path": "a", "content": "canary"}
        await asked(engine, EXECUTE, **ME, skillName="file_write", input=content)
        await asked(engine, EXECUTE, **ME, skillName="file_read", input={"path": "a"})
        async with engine.database.reading() as work:
            rows, _ = await work.audit.page(10, 0)
    assert "canary" not in str(rows) + caplog.text
    assert '"status":"success"' in rows[0].output_summary
