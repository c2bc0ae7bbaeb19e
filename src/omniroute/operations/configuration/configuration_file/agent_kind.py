"""Agents in a configuration file."""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from omniroute.clock import iso
from omniroute.errors import OmniRouteError
from omniroute.operations.agents.agents import AgentInput
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import fields_of, read_fields
from omniroute.operations.configuration.configuration_file.kind import (
    Applying,
    Kind,
    Reading,
    with_rows,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.routing.naming.resolve import resolve
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Agent


class AgentsKind(Kind[Agent]):
    """Agents by id: each is an A2A skill and an MCP tool."""

    section = "agents"
    about = "Agents: a model or combo with a system prompt and tool skills, asked over A2A and MCP."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, Agent]]:
        for row in stored.agents.values():
            yield (row.id,), row

    def told(self, row: Agent, names: Names, stored: Everything) -> dict[str, Any]:
        return fields_of(row, "id", "created_at", "updated_at")

    def read(self, reading: Reading) -> dict[Name, Agent]:
        have, now = self.named(reading.stored), iso(reading.engine.now_ms())
        found: dict[Name, Agent] = {}
        for (title,), written in reading.tables(self.section, 1):
            path: Path = (self.section, title)
            new = read_fields(
                AgentInput, written, path, reading.document, hidden=("id",), given={"id": title}
            )
            if new is None:
                continue
            if new.id in reading.engine.agent_ids:
                reading.document.problem(
                    path, "is a skill of the gateway's own; name it otherwise."
                )
                continue
            try:
                resolve(new.model, reading.engine.snapshot)
            except OmniRouteError as error:
                reading.document.problem((*path, "model"), str(error))
                continue
            old = have.get((new.id,))
            created = now if old is None else old.created_at
            found[new.id,] = Agent(
                created_at=created, updated_at=now, **msgspec.structs.asdict(new)
            )
        return found

    def placed(
        self, stored: Everything, wanted: Collection[Agent], gone: Collection[Agent]
    ) -> Everything:
        rows = with_rows(stored.agents, ((row.id, row) for row in wanted), (r.id for r in gone))
        return replace(stored, agents=rows)

    async def save(self, work: Work, row: Agent, old: Agent | None, doing: Applying) -> None:
        await work.agents.save(row)

    async def delete(self, work: Work, row: Agent, doing: Applying) -> None:
        await work.agents.delete(row.id)
