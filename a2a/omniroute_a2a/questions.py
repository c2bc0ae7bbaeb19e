"""A task that waits for an answer: the question, what was asked before it, and what was said."""

from collections.abc import Mapping, Sequence
from typing import Any

from a2a.types import Message, Role, Task

from omniroute.skills.skill import InputRequired
from omniroute_a2a.parts import text_of
from omniroute_a2a.proto import copy_of, struct_of, to_dict

MARK = "inputRequired"
"""Metadata of a message that asks: the facts, and what the task goes on with."""

YES = frozenset({"yes", "y", "ok", "okay", "approve", "approved", "continue", "go on"})
NO = frozenset({"no", "n", "cancel", "stop", "reject", "decline"})


def mark_of(asked: InputRequired, options: Mapping[str, Any]) -> Any:
    """Metadata for the message that asks."""
    kept = {"facts": asked.facts, "approves": asked.approves, "options": dict(options)}
    return struct_of({MARK: kept})


def is_question(message: Message) -> bool:
    """Whether a message asks its reader for something."""
    return message.role == Role.ROLE_AGENT and MARK in message.metadata


def open_question(task: Task) -> Message | None:
    """What a task waits to be answered; the SDK moves it to the history with the next status."""
    waits = task.status.HasField("message") and is_question(task.status.message)
    return copy_of(task.status.message) if waits else None


def without_questions(turns: Sequence[Message]) -> list[Message]:
    """The conversation itself: no questions about how to go on, and no answers to them."""
    return [
        turn
        for place, turn in enumerate(turns)
        if not is_question(turn) and not (place and is_question(turns[place - 1]))
    ]


def word_of(message: Message | None) -> str:
    """What was answered, as words are compared."""
    return text_of(message).strip().rstrip(".!").lower() if message else ""


def options_after(
    question: Message, message: Message | None, said: dict[str, Any]
) -> dict[str, Any]:
    """What the task goes on with, given the options an answer came with."""
    kept = to_dict(question.metadata)[MARK]
    approved = kept["approves"] if word_of(message) in YES else {}
    return {**kept["options"], **approved, **said}
