"""The settings of memories and skills, as one object (02 §10.9)."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.configuration.settings import change_settings

Strategy: TypeAlias = Literal["recent", "semantic", "hybrid"]

_SETTINGS = {
    "enabled": "memoryEnabled",
    "maxTokens": "memoryMaxTokens",
    "retentionDays": "memoryRetentionDays",
    "strategy": "memoryStrategy",
    "skillsEnabled": "skillsEnabled",
}
"""What each field is called among all settings."""


class MemorySettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for memories and skills."""

    enabled: bool
    max_tokens: int
    retention_days: int
    strategy: Strategy
    skills_enabled: bool


class MemorySettingsChange(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What to change; the rest stays."""

    enabled: bool | UnsetType = UNSET
    max_tokens: Annotated[int, Meta(ge=0, le=16_000)] | UnsetType = UNSET
    retention_days: Annotated[int, Meta(ge=1, le=365)] | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    skills_enabled: bool | UnsetType = UNSET


async def memory_settings(engine: Engine, caller: Caller) -> MemorySettings:
    """What holds for memories and skills."""
    settings = engine.snapshot.settings
    return MemorySettings(
        enabled=settings["memoryEnabled"],
        max_tokens=settings["memoryMaxTokens"],
        retention_days=settings["memoryRetentionDays"],
        strategy=settings["memoryStrategy"],
        skills_enabled=settings["skillsEnabled"],
    )


async def change_memory_settings(
    engine: Engine, caller: Caller, change: MemorySettingsChange
) -> MemorySettings:
    """Change what is named, from the next call on.

    Raises:
        ValidationFailed: nothing is named.
    """
    said: dict[str, Any] = to_builtins(change)  # what is unset is not in it
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    await change_settings(engine, caller, {_SETTINGS[name]: value for name, value in said.items()})
    return await memory_settings(engine, caller)
