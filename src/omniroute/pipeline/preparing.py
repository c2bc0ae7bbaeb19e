"""The steps that change a prompt before it is sent: one visible tuple, each absent when off.

Every change is named in the trace and in a header of the answer; nothing is rewritten silently.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import regex
from msgspec.structs import replace as replace_fields

from omniroute.chat import (
    ChatRequest,
    Effort,
    HostedTool,
    Message,
    ReasoningRequest,
    Text,
    Tool,
)
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.shaping import ThinkingBudget
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.trace import Change
from omniroute.storage.records.configuration import Combo

FILTER_S = 0.05
"""How long one name may take a pattern; one that takes longer does not match."""

MOST_THINKING = 131_072
_TOKENS = {"none": 0, "low": 1_024, "medium": 10_240, "high": MOST_THINKING}
_EFFORTS: tuple[tuple[int, Effort], ...] = (
    (1_024, "low"),
    (10_240, "medium"),
    (MOST_THINKING - 1, "high"),
)


Changed: TypeAlias = tuple[ChatRequest, Change] | None

PromptStep: TypeAlias = Callable[[ChatRequest, Snapshot, Combo | None], Changed]
"""What a step makes of a request; None when it has nothing to do with it."""


def combo_message(request: ChatRequest, _snapshot: Snapshot, combo: Combo | None) -> Changed:
    """The combo's own system message stands in the place of the client's."""
    if combo is None or not combo.system_message:
        return None
    own = Message("system", (Text(combo.system_message),))
    rest = tuple(message for message in request.messages if message.role != "system")
    changed = replace_fields(request, messages=(own, *rest))
    return changed, Change("system-message", f"the system message is that of combo '{combo.name}'")


def combo_tools(request: ChatRequest, _snapshot: Snapshot, combo: Combo | None) -> Changed:
    """Only tools whose name fits the combo's pattern are shown to the model."""
    if combo is None or not combo.tool_filter_regex or not request.tools:
        return None
    pattern = regex.compile(combo.tool_filter_regex)
    kept = tuple(tool for tool in request.tools if _fits(pattern, _name(tool)))
    if len(kept) == len(request.tools):
        return None
    choice = request.tool_choice
    names = [_name(tool) for tool in kept]
    if choice is not None and (not kept or (choice.mode == "tool" and choice.name not in names)):
        choice = None
    changed = replace_fields(request, tools=kept, tool_choice=choice)
    told = f"{len(kept)} of {len(request.tools)} tools fit the pattern of combo '{combo.name}'"
    return changed, Change("tool-filter", told)


def system_prompt(request: ChatRequest, snapshot: Snapshot, _combo: Combo | None) -> Changed:
    """The operator's text stands before the system text of every request."""
    rule = snapshot.shaping.system_prompt
    if not rule.enabled or not rule.prompt:
        return None
    messages = list(request.messages)
    place = next((at for at, row in enumerate(messages) if row.role == "system"), None)
    if place is None:
        messages.insert(0, Message("system", (Text(rule.prompt),)))
    else:
        messages[place] = _before(rule.prompt, messages[place])
    changed = replace_fields(request, messages=tuple(messages))
    return changed, Change("system-prompt", "the operator's system prompt stands first")


def thinking_budget(request: ChatRequest, snapshot: Snapshot, _combo: Combo | None) -> Changed:
    """How much thinking is asked for, where operators decide that."""
    rule = snapshot.shaping.thinking_budget
    if rule.mode == "passthrough":
        return None
    tokens = 0 if rule.mode == "auto" else rule.custom_budget
    if rule.mode == "adaptive":
        tokens = _adaptive(request, rule)
    # A turn that begins with the model's own words cannot be thought about first.
    prefilled = bool(request.messages) and request.messages[-1].role == "assistant"
    wanted = None
    if tokens and not prefilled:
        wanted = ReasoningRequest(effort=_effort(tokens), budget_tokens=tokens)
    if wanted == request.reasoning:
        return None
    told = "no thinking is asked for" if wanted is None else f"{tokens} tokens of thinking"
    change = Change("thinking-budget", f"{told}, by thinking budget mode '{rule.mode}'")
    return replace_fields(request, reasoning=wanted), change


STEPS: tuple[PromptStep, ...] = (combo_message, combo_tools, system_prompt, thinking_budget)
"""In the order they are taken."""


def prepared(call: ChatCall, snapshot: Snapshot, combo: str | None) -> ChatCall:
    """The call as it is sent; the very same object when no step has anything to do."""
    stored = snapshot.combos.get(combo) if combo is not None else None
    request, changes = call.request, list(call.changes)
    for step in STEPS:
        done = step(request, snapshot, stored)
        if done is not None:
            request, change = done
            changes.append(change)
    if request is call.request:
        return call
    # What its client wrote is no longer what is sent.
    return replace(call, request=request, body=None, changes=tuple(changes))


def _before(prompt: str, message: Message) -> Message:
    first, *rest = message.parts or (Text(""),)
    if isinstance(first, Text) and first.extras is None:
        text = f"{prompt}\n\n{first.text}" if first.text else prompt
        return replace_fields(message, parts=(Text(text), *rest))
    return replace_fields(message, parts=(Text(prompt), *message.parts))


def _name(tool: Tool | HostedTool) -> str:
    """What a tool is called; hosted ones may have no more than a type."""
    if isinstance(tool, Tool):
        return tool.name
    fields = tool.extras.fields
    return str(fields.get("name") or fields.get("type") or next(iter(fields), ""))


def _fits(pattern: "regex.Pattern[str]", name: str) -> bool:
    try:
        return pattern.search(name, timeout=FILTER_S) is not None
    except TimeoutError:
        return False


def _adaptive(request: ChatRequest, rule: ThinkingBudget) -> int:
    """More thinking for what is more to think about. 05 §6.7."""
    last = next((row.text for row in reversed(request.messages) if row.role == "user"), "")
    more = 0.5 * (len(request.messages) > 10) + 0.5 * (len(request.tools) > 3)
    more += 0.3 * (len(last) > 2_000)
    base = rule.base_budget or _TOKENS[rule.effort_level]
    return min(MOST_THINKING, math.ceil(base * (1 + rule.complexity_multiplier * more)))


def _effort(tokens: int) -> Effort:
    """The level of effort a budget is nearest to, for APIs that know no numbers."""
    return next((effort for most, effort in _EFFORTS if tokens <= most), "xhigh")
