"""An execution whose process is killed ends with the next start, which says why."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from omniroute.operations.skills.executions import INTERRUPTED
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

pytestmark = pytest.mark.anyio

# Executes a skill that never ends, and says so once it runs.
WORKER = """
import asyncio, sys
from pathlib import Path
from omniroute.caller import SYSTEM
from omniroute.operations.configuration.settings import change_settings
from omniroute.operations.progress import silent
from omniroute.operations.skills.executions import SkillRun, execute_skill
from omniroute.operations.skills.skills import SkillManifest, install_skill
from omniroute.skills.tool import ToolHandler
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine

async def hang(call):
    print("running", flush=True)
    await asyncio.Event().wait()

async def main(data_dir):
    async with open_engine(load_settings({}, data_dir=data_dir, discover=False), {}) as engine:
        engine.tools.handlers["hang"] = ToolHandler("hang", "", (), {}, {}, hang)
        await change_settings(engine, SYSTEM, {"skillsEnabled": True})
        await install_skill(engine, SYSTEM, SkillManifest(name="hang", handler_code="hang"))
        run = SkillRun(api_key_id="me", skill_name="hang", input={})
        await execute_skill(engine, SYSTEM, run, silent)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_killed_execution_is_ended_by_the_next_start(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WORKER, str(tmp_path)]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            told = await process.stdout.receive()
            process.kill()
    assert told.startswith(b"running"), told
    settings = load_settings({}, data_dir=tmp_path, discover=False)
    async with open_engine(settings, {}) as engine, engine.database.reading() as work:
        (ended,) = await work.executions.page("me", 10)
    assert (ended.status, ended.error_message) == ("error", INTERRUPTED)
    assert (ended.holder, ended.duration_ms) == (None, None)
