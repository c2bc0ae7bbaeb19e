"""The contract between the agents room and the A2A door: one skill, its request and its reply."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from omniroute.caller import Caller
from omniroute.chat import Message

EngineT = TypeVar("EngineT")

Emit = Callable[[str], Awaitable[None]]
"""Hands on a piece of the answer's text as soon as it exists."""


@dataclass(frozen=True, slots=True)
class SkillRequest:
    """What an agent is asked. `options` is the caller's metadata, unchecked."""

    task_id: str
    caller: Caller
    messages: tuple[Message, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def last_text(self) -> str:
        """Text of the newest user message, empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class SkillReply:
    """A plain-language answer and its data. `text` is whole, whether or not it was emitted."""

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skill(Generic[EngineT]):
    """One skill of the agent card; card entry and dispatch both come from this row.

    `run` raises `OmniRouteError` for failures a caller may see.
    """

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...]
    time_limit_s: float
    run: Callable[[EngineT, SkillRequest, Emit], Awaitable[SkillReply]]
