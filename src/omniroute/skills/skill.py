"""The contract between the agents room and the A2A door: one skill, its request and its reply."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from omniroute.caller import Caller
from omniroute.chat import Message

EngineT = TypeVar("EngineT")

Emit = Callable[[str], Awaitable[None]]
"""Hands on a piece of the answer's text as soon as it exists."""


class InputRequired(Exception):
    """A skill cannot go on before its caller has answered; `run` raises it, and is called again.

    Then the conversation is the same, without question and answer. The options are those of the
    first call, under those the answer came with, under `approves` where it is a word of approval.
    After a word of refusal the skill is not called again.

    Args:
        question: what is needed, and what to answer.
        facts: the same as data.
        approves: options that a plain yes sets.
    """

    def __init__(
        self,
        question: str,
        *,
        facts: Mapping[str, Any] | None = None,
        approves: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(question)
        self.question = question
        self.facts = dict(facts or {})
        self.approves = dict(approves or {})


@dataclass(frozen=True, slots=True)
class SkillRequest:
    """What an agent is asked. `options` is the caller's metadata, unchecked; `answer` is what was
    said to the skill's own question, None unless it has asked."""

    task_id: str
    caller: Caller
    messages: tuple[Message, ...]
    options: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None

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

    `run` raises `OmniRouteError` for failures a caller may see, `InputRequired` to ask back.
    """

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...]
    time_limit_s: float
    run: Callable[[EngineT, SkillRequest, Emit], Awaitable[SkillReply]]
