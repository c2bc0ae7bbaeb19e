"""The skills that come with the gateway: one for each built-in tool, shared by all keys."""

from msgspec.structs import replace

from omniroute.engine import Engine
from omniroute.operations.skills.executions import settle_interrupted
from omniroute.operations.skills.skills import built_in_id
from omniroute.skills.tool import VERSION, ToolHandler
from omniroute.storage.records.skills import SYSTEM_OWNER, Skill, SkillFilter


async def prepare_skills(engine: Engine) -> None:
    """At a start: have a skill for each built-in tool, as this version has them, and end what a
    process that is gone has left unfinished. What operators have switched stays as it is."""
    await settle_interrupted(engine)
    async with engine.database.reading() as work:
        shared = await work.skills.page(SkillFilter(owners=(SYSTEM_OWNER,)))
    there = {one.id: one for one in shared}
    rows = [_skill(tool, engine.now_ms()) for tool in engine.tools.handlers.values()]
    missing = [row for row in rows if row.id not in there]
    stale = [
        replace(there[row.id], schema=row.schema, version=row.version)
        for row in rows
        if row.id in there and there[row.id].schema != row.schema
    ]
    if missing or stale:
        async with engine.database.work() as work:
            await work.skills.add_missing(missing)
            for row in stale:
                await work.skills.save(row)


def _skill(tool: ToolHandler, now_ms: int) -> Skill:
    return Skill(
        id=built_in_id(tool.name),
        api_key_id=SYSTEM_OWNER,
        name=tool.name,
        version=VERSION,
        description=tool.description,
        schema={"input": dict(tool.input_schema), "output": dict(tool.output_schema)},
        handler=tool.name,
        enabled=True,
        mode="auto",
        source_provider=None,
        tags=tool.tags,
        install_count=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
