"""What every request is changed to, as settings of their own (02 §10.5-10.6)."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.configuration.settings import change_settings
from omniroute.routing.shaping import SystemPrompt, ThinkingBudget, Tokens


class SystemPromptChange(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of the system prompt; the rest stays."""

    enabled: bool | UnsetType = UNSET
    prompt: Annotated[str, Meta(max_length=50_000)] | UnsetType = UNSET


class ThinkingBudgetChange(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of the thinking budget; the rest stays. Tokens."""

    mode: Literal["passthrough", "auto", "custom", "adaptive"] | UnsetType = UNSET
    custom_budget: Tokens | UnsetType = UNSET
    effort_level: Literal["none", "low", "medium", "high"] | UnsetType = UNSET
    base_budget: Tokens | UnsetType = UNSET
    complexity_multiplier: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET


async def system_prompt(engine: Engine, caller: Caller) -> SystemPrompt:
    """The text that stands before the system text of every request."""
    return engine.snapshot.shaping.system_prompt


async def change_system_prompt(
    engine: Engine, caller: Caller, change: SystemPromptChange
) -> SystemPrompt:
    """Change what is named, from the next request on.

    Raises:
        ValidationFailed: nothing is named.
    """
    await _merge(engine, caller, "systemPrompt", engine.snapshot.shaping.system_prompt, change)
    return engine.snapshot.shaping.system_prompt


async def thinking_budget(engine: Engine, caller: Caller) -> ThinkingBudget:
    """How much thinking requests ask for."""
    return engine.snapshot.shaping.thinking_budget


async def change_thinking_budget(
    engine: Engine, caller: Caller, change: ThinkingBudgetChange
) -> ThinkingBudget:
    """Change what is named, from the next request on.

    Raises:
        ValidationFailed: nothing is named.
    """
    await _merge(engine, caller, "thinkingBudget", engine.snapshot.shaping.thinking_budget, change)
    return engine.snapshot.shaping.thinking_budget


async def _merge(engine: Engine, caller: Caller, name: str, old: Struct, change: Struct) -> None:
    said: dict[str, Any] = to_builtins(change)  # what is unset is not in it
    if not said:
        raise ValidationFailed([("", "at least one field is needed")])
    await change_settings(engine, caller, {name: {**to_builtins(old), **said}})
