"""The tool skills an agent may call, as a model is told of them."""

from omniroute.chat import Tool
from omniroute.engine import Engine
from omniroute.skills.versions import fitting
from omniroute.storage.records.configuration import Agent
from omniroute.storage.records.skills import SHARED_OWNERS


async def tools_of(engine: Engine, agent: Agent) -> tuple[Tool, ...]:
    """The newest version of each that is switched on; the others are not offered."""
    found: list[Tool] = []
    async with engine.database.reading() as work:
        for name in agent.tools:
            versions = {
                one.version: one
                for one in await work.skills.named(name, SHARED_OWNERS)
                if one.enabled
            }
            newest = next((versions[one] for one in fitting(versions, None)), None)
            if newest is not None:
                schema = newest.schema.get("input") or {"type": "object"}
                found.append(Tool(name, newest.description, schema))
    return tuple(found)
