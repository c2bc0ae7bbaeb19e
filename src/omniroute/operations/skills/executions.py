"""Executing tool skills: every execution is a row that says how far it is and how it ended."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import anyio
import msgspec
import structlog
from msgspec import Meta, Struct
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import Conflict, Disabled, NotFound, OmniRouteError, ValidationFailed
from omniroute.operations.access.ownership import require_own
from omniroute.operations.progress import Report
from omniroute.operations.skills.schemas import require_fits
from omniroute.operations.skills.skills import Owner
from omniroute.operations.skills.views import (
    ExecutionLine,
    ExecutionView,
    execution_line,
    execution_view,
)
from omniroute.operations.usage.runs import in_step
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute.skills.versions import fitting
from omniroute.storage.records.runs import RunStep, StepStatus
from omniroute.storage.records.skills import (
    SHARED_OWNERS,
    ExecutionStatus,
    Skill,
    SkillExecution,
    SkillFilter,
)

log = structlog.get_logger(__name__)

MOST_KEPT_BYTES = 65_536
INTERRUPTED = "The gateway stopped while it ran; nobody knows how far it came."
WAIT_S = 5.0
"""How long the end of an execution may take to be written down."""


class SkillRun(Struct, frozen=True, kw_only=True, rename="camel"):
    """A skill to execute.

    Attributes:
        api_key_id: who uses it: the id of the caller's own key; operators may name any.
        skill_name: its name, or name@version; ^ ~ > >= < <= == may stand before the version.
        input: what its input schema takes.
    """

    api_key_id: Owner
    skill_name: Annotated[str, Meta(min_length=1, max_length=200)]
    input: dict[str, Any]
    session_id: Annotated[str, Meta(max_length=200)] = ""


class Execution(Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of an execution; `duration` is milliseconds."""

    id: str
    skill_id: str
    status: ExecutionStatus
    output: Any
    error: str | None
    duration: int | None
    created_at: str


class ExecutionsQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which executions are listed.

    Attributes:
        api_key_id: of which key; operators may leave it out for those of all keys.
    """

    api_key_id: Owner | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class ExecutionsList(Struct, frozen=True):
    """Executions, newest first."""

    executions: list[ExecutionLine]
    count: int


class Ended(Struct, frozen=True, kw_only=True):
    """How a handler ended."""

    status: ExecutionStatus
    output: Any = None
    error: str | None = None


async def execute_skill(engine: Engine, caller: Caller, run: SkillRun, report: Report) -> Execution:
    """Execute a skill and wait for its end. A failure of the skill is an answer with its status.

    Raises:
        Forbidden: it would be for somebody else.
        Disabled: skills are switched off.
        NotFound: the key has no such skill.
        Conflict: the skill is switched off.
        ValidationFailed: the input does not fit its schema.
    """
    found = await execute(engine, caller, run, report)
    line = execution_line(found)
    return Execution(**msgspec.structs.asdict(line), output=found.output)


async def execute(engine: Engine, caller: Caller, run: SkillRun, report: Report) -> SkillExecution:
    """The same, as the record of it; with the whole output, which is stored cut."""
    require_own(caller, run.api_key_id)
    if not engine.snapshot.settings["skillsEnabled"]:
        raise Disabled("Skills are switched off; the setting skillsEnabled switches them on.")
    skill = await _chosen(engine, run)
    require_fits(skill.schema.get("input") or {}, run.input)
    execution = SkillExecution(
        id=engine.new_id(),
        skill_id=skill.id,
        api_key_id=run.api_key_id,
        session_id=run.session_id,
        input=_kept(run.input),
        output=None,
        status="pending",
        error_message=None,
        duration_ms=None,
        holder=engine.tools.holder,
        created_at_ms=engine.now_ms(),
    )
    async with engine.database.work() as work:
        await work.executions.add(execution)
    await report(0.0, f"{skill.name}@{skill.version} is pending")
    within, step = in_step(engine, caller, "skill", skill.name, execution.id)
    call = ToolCall(run.api_key_id, run.input, report, within)
    return await _carried_out(engine, skill, call, execution, step)


async def list_executions(engine: Engine, caller: Caller, query: ExecutionsQuery) -> ExecutionsList:
    """The newest executions of a key; for operators without a key those of all.

    Raises:
        Forbidden: the key is somebody else's.
    """
    owner = query.api_key_id
    if owner is None and not caller.is_operator:
        owner = caller.owner
    if owner is not None:
        require_own(caller, owner)
    async with engine.database.reading() as work:
        found = await work.executions.page(owner, query.limit)
    return ExecutionsList([execution_line(one) for one in found], len(found))


async def executions_page(
    engine: Engine, caller: Caller, api_key_id: str | None, limit: int, offset: int
) -> tuple[list[ExecutionView], int]:
    """Some executions with what they were given and gave, and how many there are."""
    async with engine.database.reading() as work:
        found = await work.executions.page(api_key_id, limit, offset)
        total = await work.executions.count(api_key_id)
    return [execution_view(one) for one in found], total


async def settle_interrupted(engine: Engine) -> int:
    """End what processes that are gone have left unfinished; how many there were."""
    async with engine.database.reading() as work:
        dead = engine.tools.dead(await work.executions.holders())
    if not dead:
        return 0
    async with engine.database.work() as work:
        return await work.executions.abandon(dead, INTERRUPTED)


def _ended_step(engine: Engine, step: RunStep, ended: Ended) -> RunStep:
    status: StepStatus = "completed" if ended.status == "success" else "failed"
    verdict = ended.error or ended.status
    return replace(step, status=status, verdict=verdict, ended_at_ms=engine.now_ms())


async def _chosen(engine: Engine, run: SkillRun) -> Skill:
    """The highest version that fits and is on; the key's own before those that are shared."""
    name, _, wanted = run.skill_name.partition("@")
    owners = (run.api_key_id, *SHARED_OWNERS)
    async with engine.database.reading() as work:
        named = await work.skills.named(name, owners)
        known = [] if named else await work.skills.page(SkillFilter(owners=owners))
    if not named:
        hint = did_you_mean(name, {one.name for one in known}) or " A list of skills shows them."
        raise NotFound(f"There is no skill '{name}'.{hint}")
    for owner in owners:
        mine = {one.version: one for one in named if one.api_key_id == owner}
        try:
            versions = fitting(mine, wanted or None)
        except ValueError as error:
            raise ValidationFailed(
                [("skillName", "must be a name, or a name@version such as x@1.0.0 or x@^1.0.0")]
            ) from error
        found = [mine[version] for version in versions]
        chosen = next((one for one in found if one.enabled), None)
        if chosen is not None:
            return chosen
        if found:
            raise Conflict(f"The skill '{run.skill_name}' is switched off; enable it first.")
    there = ", ".join(sorted({one.version for one in named}))
    raise NotFound(f"There is no '{run.skill_name}'; there are these versions: {there}.")


async def _carried_out(
    engine: Engine,
    skill: Skill,
    call: ToolCall,
    execution: SkillExecution,
    step: RunStep,
) -> SkillExecution:
    began = time.monotonic()
    ended = Ended(status="error", error="It was cancelled.")
    try:
        async with engine.database.work() as work:
            await work.executions.begin(execution.id)
        ended = await _ended(engine.tools.handlers, engine.tools.time_limit_s, skill, call)
    finally:
        duration_ms = int((time.monotonic() - began) * 1000)
        with anyio.move_on_after(WAIT_S, shield=True):
            async with engine.database.work() as work:
                await work.executions.finish(
                    execution.id,
                    ended.status,
                    output=_kept(ended.output),
                    error_message=ended.error,
                    duration_ms=duration_ms,
                )
                await work.runs.save(_ended_step(engine, step, ended))
    return replace(
        execution,
        status=ended.status,
        output=ended.output,
        error_message=ended.error,
        duration_ms=duration_ms,
    )


async def _ended(
    handlers: Mapping[str, ToolHandler], limit_s: float, skill: Skill, call: ToolCall
) -> Ended:
    """Run the handler of a skill; whatever happens is an ending."""
    handler = handlers.get(skill.handler)
    if handler is None:
        listed = ", ".join(sorted(handlers)) or "none"
        return Ended(
            status="error",
            error=f"The skill's handler is no tool of this gateway; there are: {listed}.",
        )
    try:
        async with asyncio.timeout(limit_s):
            output = await handler.run(call)
        return Ended(status="success", output=msgspec.to_builtins(output))
    except TimeoutError:
        return Ended(status="timeout", error=f"It took longer than {limit_s:g} s.")
    except (ToolFailed, OmniRouteError) as error:
        return Ended(status="error", error=str(error))
    except Exception:  # whatever it is, the caller learns that it failed and no cause
        log.exception("skill_failed", handler=skill.handler)
        return Ended(status="error", error="The skill failed; the log has the details.")


def _kept(value: Any) -> Any:
    """What is stored of an input or an output: all of it, or the beginning of its JSON."""
    encoded = msgspec.json.encode(value)
    if len(encoded) <= MOST_KEPT_BYTES:
        return value
    return {"truncated": True, "json": encoded[:MOST_KEPT_BYTES].decode("utf-8", "ignore")}
