"""Requests that go elsewhere by their task, or because nobody waits for them."""

from typing import Any

import pytest

from omniroute.chat import ChatRequest, Image, Message, Part, Text
from omniroute.routing.naming.rerouting import background_reason, rerouted, task_of
from omniroute.routing.shaping import shaping_of


def asked(text: str, system: str = "", *parts: Part, **more: Any) -> ChatRequest:
    model = more.pop("model", "auto")
    messages: tuple[Message, ...] = (Message("user", (Text(text), *parts)),)
    if system:
        messages = (Message("system", (Text(system),)), *messages)
    return ChatRequest(model=model, messages=messages, **more)


TASKS = {
    "a picture": (asked("write a poem", "", Image(url="https://a.test/b.png")), "vision"),
    "words of programming": (asked("Please refactor this"), "coding"),
    "marks of code": (asked("what of\n```\nx\n```"), "coding"),
    "the system text speaks first": (
        asked("hello", "You generate a title for chats"),
        "background",
    ),
    "a summary": (asked("TLDR of the meeting please"), "summarization"),
    "an analysis": (asked("Compare these two offers"), "analysis"),
    "a poem": (asked("A haiku about autumn"), "creative"),
    "a picture in words": (asked("Which screenshot is newer?"), "vision"),
    "anything else": (asked("Good morning"), "chat"),
}


@pytest.mark.parametrize(("request_", "task"), TASKS.values(), ids=TASKS)
def test_task_of(request_: ChatRequest, task: str) -> None:
    assert task_of(request_) == task


BACKGROUND = {
    "a header": (asked("x"), {"x-request-priority": "Background"}, "header_background"),
    "another header": (asked("x"), {"x-initiator": "background"}, "header_background"),
    "very short answers": (asked("x", max_output_tokens=49), {}, "low_max_tokens"),
    "short answers": (asked("x", max_output_tokens=50), {}, None),
    "a title": (asked("x", "Generate a short title for this"), {}, "system_prompt_pattern"),
    "a long conversation about titles": (
        ChatRequest(
            model="m",
            messages=(
                Message("system", (Text("Write a title"),)),
                *[Message("user", (Text("x"),))] * 4,
            ),
        ),
        {},
        None,
    ),
    "people": (asked("x", "Be kind"), {"x-request-priority": "high"}, None),
}


@pytest.mark.parametrize(("request_", "headers", "reason"), BACKGROUND.values(), ids=BACKGROUND)
def test_background_reason(
    request_: ChatRequest, headers: dict[str, str], reason: str | None
) -> None:
    assert background_reason(request_, headers) == reason


def tasks(**more: Any) -> dict[str, Any]:
    return {"taskRouting": {"enabled": True, "models": {"coding": "a/code"}, **more}}


BACK = {"backgroundDegradation": {"enabled": True, "models": {"a/code": "a/small"}}}
QUIET = {"x-task-type": "background"}
ROUTES: dict[str, tuple[dict[str, Any], ChatRequest, dict[str, str], str | None]] = {
    "off": ({}, asked("debug this"), QUIET, None),
    "by task": (tasks(), asked("debug this"), {}, "a/code"),
    "a task that is left alone": (
        tasks(models={"coding": ""}), asked("debug this"), {}, None,
    ),
    "a task nobody named has the shipped model": (
        tasks(), asked("compare these"), {}, "gemini/gemini-2.5-pro",
    ),
    "a model that was chosen stays": (tasks(), asked("debug this", model="b/x"), {}, None),
    "unless the operator says otherwise": (
        tasks(onlyWhenModelIsGeneric=False), asked("debug this", model="b/x"), {}, "a/code",
    ),
    "cheaper where nobody waits": (BACK, asked("x", model="a/code"), QUIET, "a/small"),
    "a shipped name, whatever its provider": (
        BACK, asked("x", model="openai/gpt-4o"), QUIET, "openai/gpt-4o-mini",
    ),
    "a model without a cheaper one": (BACK, asked("x", model="b/y"), QUIET, None),
    "one rule after the other": (tasks() | BACK, asked("debug this"), QUIET, "a/small"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "request_", "headers", "model"), ROUTES.values(), ids=ROUTES)
def test_rerouted(
    settings: dict[str, Any], request_: ChatRequest, headers: dict[str, str], model: str | None
) -> None:
    found = rerouted(request_, headers, shaping_of(settings))
    assert (found.model if found else None) == model
