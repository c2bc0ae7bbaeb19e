"""Skills and executions as they are shown. Source: 02 §24, 03 §8.6."""

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from omniroute.clock import iso
from omniroute.storage.records.skills import ExecutionStatus, Skill, SkillExecution, SkillMode


class SkillView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of a skill, with the JSON Schemas of what it takes and gives."""

    id: str
    api_key_id: str
    name: str
    version: str
    description: str
    schema: dict[str, Any]
    handler: str
    enabled: bool
    mode: SkillMode
    source_provider: str | None
    tags: tuple[str, ...]
    install_count: int
    created_at: str
    updated_at: str


class SkillLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of a skill, in short."""

    id: str
    name: str
    version: str
    description: str
    enabled: bool
    created_at: str


class ExecutionLine(Struct, frozen=True, kw_only=True, rename="camel"):
    """One execution, in short; `duration` is milliseconds."""

    id: str
    skill_id: str
    status: ExecutionStatus
    duration: int | None
    error: str | None
    created_at: str


class ExecutionView(Struct, frozen=True, kw_only=True, rename="camel"):
    """One execution with what it was given and gave, each cut where it is long."""

    id: str
    skill_id: str
    api_key_id: str
    session_id: str
    input: Any
    output: Any
    status: ExecutionStatus
    error_message: str | None
    duration_ms: int | None
    created_at: str


def skill_view(skill: Skill) -> SkillView:
    """A skill as it is shown."""
    same = asdict(skill)
    created, updated = same.pop("created_at_ms"), same.pop("updated_at_ms")
    return SkillView(**same, created_at=iso(created), updated_at=iso(updated))


def skill_line(skill: Skill) -> SkillLine:
    """A skill in short."""
    return SkillLine(
        id=skill.id,
        name=skill.name,
        version=skill.version,
        description=skill.description,
        enabled=skill.enabled,
        created_at=iso(skill.created_at_ms),
    )


def execution_view(execution: SkillExecution) -> ExecutionView:
    """An execution as it is shown."""
    same = asdict(execution)
    created, _ = same.pop("created_at_ms"), same.pop("holder")
    return ExecutionView(**same, created_at=iso(created))


def execution_line(execution: SkillExecution) -> ExecutionLine:
    """An execution in short."""
    return ExecutionLine(
        id=execution.id,
        skill_id=execution.skill_id,
        status=execution.status,
        duration=execution.duration_ms,
        error=execution.error_message,
        created_at=iso(execution.created_at_ms),
    )
