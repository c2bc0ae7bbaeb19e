"""Tool skills: what may be executed, and what was."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

SkillMode: TypeAlias = Literal["on", "off", "auto"]
ExecutionStatus: TypeAlias = Literal["pending", "running", "success", "error", "timeout"]

SYSTEM_OWNER = "system"
SHARED_OWNERS = (SYSTEM_OWNER, "skillsmp", "skillssh")
"""Owners whose skills every key sees."""


class Skill(Struct, frozen=True, kw_only=True):
    """One version of a skill. An owner has a name and version once.

    `schema` has the JSON Schemas `input` and `output`; `handler` names the built-in tool behind
    it. `enabled` is false exactly where `mode` is `off`. Times are epoch ms.
    """

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
    created_at_ms: int
    updated_at_ms: int


class SkillFilter(Struct, frozen=True, kw_only=True):
    """Which skills are meant; None is any. `name` is a part of the name, `text` one of the name,
    the description or the tags. `source` `local` is what came from no marketplace."""

    owners: tuple[str, ...] | None = None
    name: str | None = None
    text: str | None = None
    enabled: bool | None = None
    mode: SkillMode | None = None
    source: str | None = None


class SkillExecution(Struct, frozen=True, kw_only=True):
    """One execution. While it is pending or running `holder` is the process that has it."""

    id: str
    skill_id: str
    api_key_id: str
    session_id: str
    input: Any
    output: Any
    status: ExecutionStatus
    error_message: str | None
    duration_ms: int | None
    holder: str | None
    created_at_ms: int
