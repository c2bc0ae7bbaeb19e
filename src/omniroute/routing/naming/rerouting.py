"""Requests that go to another model than they name, where operators want that. 05 §1.5, §6.6.

Both rules are off unless switched on, and what they change is named in trace and answer.
"""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.catalog.substitutes import shipped_substitutes
from omniroute.chat import ChatRequest, Image
from omniroute.routing.scoring.intent import CODE_MARKS, last_turn
from omniroute.routing.shaping import BackgroundDegradation, Shaping, TaskRouting

Task: TypeAlias = Literal[
    "coding", "creative", "analysis", "vision", "summarization", "background", "chat"
]

REROUTES = frozenset({"task-routing", "background"})
"""The codes of these rules."""

BACKGROUND_HEADERS = ("x-task-type", "x-request-priority", "x-initiator")
FEW_TOKENS = 49
FEW_TURNS = 3
_LONGEST_READ = 4_000
_HEADLINE = re.compile(
    r"(?:generate|write|create|make) (?:a |an |the )?(?:\w+[ -]){0,3}(?:title|headline|summary)"
    r"|\b(?:title|summary) generator\b|summari[sz]e (?:the|this) (?:conversation|chat|session)",
    re.IGNORECASE,
)


def _words(spoken: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{spoken})(?!\w)", re.IGNORECASE)


_TASKS: tuple[tuple[Task, re.Pattern[str]], ...] = (
    (
        "background",
        _words(
            r"generate (?:a |the )?(?:short |brief )?title|conversation title|title for this"
            r"|name this (?:chat|conversation)|background task|housekeeping|suggest follow-?ups?"
        ),
    ),
    (
        "coding",
        _words(
            r"code|coding|function|debug(?:ging)?|refactor(?:ing)?|compile[rd]?|bug ?fix"
            r"|unit tests?|stack trace|traceback|regex|sql|python|javascript|typescript|java|rust"
            r"|golang|c\+\+|implement|pull request|git|docker|kubernetes|api endpoint"
        ),
    ),
    ("vision", _words(r"image|picture|photo|screenshot|diagram|ocr|what do you see")),
    (
        "summarization",
        _words(r"summar(?:y|i[sz]e[ds]?|i[sz]ing)|tl;?dr|key points|condense|shorten|recap"),
    ),
    (
        "analysis",
        _words(
            r"analy[sz](?:e|ing)|analysis|compare|comparison|evaluate|assess|investigate"
            r"|root cause|pros and cons|trade-?offs?|implications|research"
        ),
    ),
    (
        "creative",
        _words(
            r"story|poem|haiku|lyrics|song|screenplay|fiction|novel|creative|brainstorm|slogan"
            r"|imagine|role-?play"
        ),
    ),
)


class Reroute(Struct, frozen=True):
    """A model to take instead; the code is for programs, the reason for people."""

    model: str
    code: str
    why: str


def rerouted(request: ChatRequest, headers: Mapping[str, str], shaping: Shaping) -> Reroute | None:
    """The model a request goes to instead of the one it names; None for the one it names."""
    by_task = _by_task(request, shaping.task_routing)
    model = by_task.model if by_task is not None else request.model
    return _in_background(request, model, headers, shaping.background) or by_task


def _by_task(request: ChatRequest, rule: TaskRouting) -> Reroute | None:
    if not rule.enabled:
        return None
    generic = request.model in ("", "auto") or request.model.startswith("auto/")
    if rule.only_when_model_is_generic and not generic:
        return None
    task = task_of(request)
    model = rule.models.get(task, shipped_substitutes().tasks.get(task, ""))
    if not model or model == request.model:
        return None
    return Reroute(model, "task-routing", f"the task is {task}, which goes to {model}")


def _in_background(
    request: ChatRequest, model: str, headers: Mapping[str, str], rule: BackgroundDegradation
) -> Reroute | None:
    if not rule.enabled:
        return None
    reason = background_reason(request, headers)
    if reason is None:
        return None
    known = {**shipped_substitutes().background, **rule.models}
    cheaper = known.get(model) or known.get(model.rpartition("/")[2])
    if not cheaper or cheaper == model:
        return None
    return Reroute(cheaper, "background", f"nobody waits for it ({reason}): {cheaper} will do")


def background_reason(request: ChatRequest, headers: Mapping[str, str]) -> str | None:
    """Why a request counts as one that nobody waits for; None when it does not."""
    if any(headers.get(name, "").lower() == "background" for name in BACKGROUND_HEADERS):
        return "header_background"
    if request.max_output_tokens is not None and 1 <= request.max_output_tokens <= FEW_TOKENS:
        return "low_max_tokens"
    turns = sum(message.role == "user" for message in request.messages)
    if turns <= FEW_TURNS and _HEADLINE.search(_system_text(request)):
        return "system_prompt_pattern"
    return None


def task_of(request: ChatRequest) -> Task:
    """The kind of task: by pictures, else by words of the system text, then of the last turn."""
    if any(isinstance(part, Image) for row in request.messages for part in row.parts):
        return "vision"
    system, last = _system_text(request), last_turn(request)
    for task, words in _TASKS:
        if words.search(system) or words.search(last):
            return task
        if task == "coding" and CODE_MARKS.search(last):
            return task
    return "chat"


def _system_text(request: ChatRequest) -> str:
    first = next((row for row in request.messages if row.role == "system"), None)
    return first.text[:_LONGEST_READ] if first is not None else ""
