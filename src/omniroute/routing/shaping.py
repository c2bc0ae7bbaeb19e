"""What operators have every request changed to: settings as values, read once per snapshot.

Source: 05 §1.5, §6.6-6.8; 02 §10.5-10.6. A stored value that is not valid counts as not said: it
must never stand between a request and its answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

ShapeT = TypeVar("ShapeT", bound=Struct)
Tokens = Annotated[int, Meta(ge=0, le=131_072)]
ModelName: TypeAlias = Annotated[str, Meta(max_length=300)]


class SystemPrompt(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A text that stands before the system text of every request."""

    enabled: bool = False
    prompt: Annotated[str, Meta(max_length=50_000)] = ""


class ThinkingBudget(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How much thinking requests ask for. Tokens.

    `passthrough` leaves that to the client, `auto` to the model, `custom` sets `custom_budget`,
    and `adaptive` begins at `base_budget` (0: what `effort_level` stands for) and adds for long
    conversations, many tools and long questions, `complexity_multiplier` times as much.
    """

    mode: Literal["passthrough", "auto", "custom", "adaptive"] = "passthrough"
    custom_budget: Tokens = 10_240
    effort_level: Literal["none", "low", "medium", "high"] = "medium"
    base_budget: Tokens = 0
    complexity_multiplier: Annotated[float, Meta(ge=0, le=100)] = 1.0


class TaskRouting(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Models by kind of task, in the place of what was asked for.

    An empty name leaves a task alone; a task that is not named gets the shipped model.
    `only_when_model_is_generic` touches nothing but `auto` and its variants.
    """

    enabled: bool = False
    models: dict[str, ModelName] = {}
    only_when_model_is_generic: bool = True


class BackgroundDegradation(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Cheaper models for what nobody waits for; `models` maps names, over the shipped ones."""

    enabled: bool = False
    models: dict[str, ModelName] = {}


class EmergencyFallback(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Who answers when the money at a provider has run out; nobody without an account there."""

    enabled: bool = True
    provider: Annotated[str, Meta(min_length=1, max_length=120)] = "nvidia"
    model: ModelName = "openai/gpt-oss-120b"
    max_output_tokens: Annotated[int, Meta(ge=1, le=131_072)] = 4_096


class ModelFamilies(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Models that stand in for one another at the same account when one is not there.

    `families` are lists of model ids, looked at before the shipped ones; the nearest in a list
    is asked first.
    """

    enabled: bool = True
    families: tuple[tuple[ModelName, ...], ...] = ()


class Shaping(Struct, frozen=True, kw_only=True):
    """All of it, as one snapshot holds it."""

    system_prompt: SystemPrompt = SystemPrompt()
    thinking_budget: ThinkingBudget = ThinkingBudget()
    task_routing: TaskRouting = TaskRouting()
    background: BackgroundDegradation = BackgroundDegradation()
    emergency: EmergencyFallback = EmergencyFallback()
    families: ModelFamilies = ModelFamilies()


SHAPES: Mapping[str, type[Struct]] = {
    "systemPrompt": SystemPrompt,
    "thinkingBudget": ThinkingBudget,
    "taskRouting": TaskRouting,
    "backgroundDegradation": BackgroundDegradation,
    "emergencyFallback": EmergencyFallback,
    "modelFamilies": ModelFamilies,
}
"""The settings that are objects, by name."""


def shaping_of(settings: Mapping[str, Any]) -> Shaping:
    """What the settings say."""
    return Shaping(
        system_prompt=said(settings, "systemPrompt", SystemPrompt),
        thinking_budget=said(settings, "thinkingBudget", ThinkingBudget),
        task_routing=said(settings, "taskRouting", TaskRouting),
        background=said(settings, "backgroundDegradation", BackgroundDegradation),
        emergency=said(settings, "emergencyFallback", EmergencyFallback),
        families=said(settings, "modelFamilies", ModelFamilies),
    )


def said(settings: Mapping[str, Any], name: str, shape: type[ShapeT]) -> ShapeT:
    """A setting that is an object; its defaults where what is stored is not valid."""
    try:
        return msgspec.convert(settings.get(name) or {}, shape)
    except msgspec.ValidationError:
        return shape()
