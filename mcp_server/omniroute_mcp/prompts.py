"""The prompts: each asks one question and brings the resource that answers it. 03 §10.2."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec import Struct

from omniroute.catalog.names import did_you_mean
from omniroute_mcp.callers import Context
from omniroute_mcp.listing import Describe
from omniroute_mcp.resources.reading import Resources

Values: TypeAlias = Mapping[str, str]


class Argument(Struct, frozen=True):
    """One argument; its name says what kind of value completes it."""

    name: str
    description: str
    required: bool = False


class PromptRow(Struct, frozen=True, kw_only=True):
    """One prompt. `resource` is the URI that is embedded, `text` the question, by the values of
    the arguments."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...] = ()
    resource: Callable[[Values], str]
    text: Callable[[Values], str]


TASK_TYPE = "coding, review, planning, analysis, debugging or documentation"
BUDGET = Argument("budget", "The most it may cost, USD.")


def _within(values: Values) -> str:
    limits = [
        f"at most {values['budget']} USD" if values.get("budget") else "",
        f"within {values['latencyMs']} ms" if values.get("latencyMs") else "",
    ]
    told = " and ".join(one for one in limits if one)
    return f", {told}" if told else ""


_ROWS = (
    PromptRow(
        name="choose-combo",
        title="Choose a combo",
        description="Find the combo that fits a kind of work, a budget and a latency.",
        arguments=(
            Argument("taskType", f"The kind of work: {TASK_TYPE}.", required=True),
            BUDGET,
            Argument("latencyMs", "How long an answer may take, milliseconds."),
        ),
        resource=lambda _: "omniroute://combos",
        text=lambda values: (
            f"Which of the combos below fits {values['taskType']} work best{_within(values)}? "
            "Call omniroute_best_combo_for_task with the same limits, compare its answer with "
            "the metrics below, and check the choice with omniroute_simulate_route before you "
            "recommend it."
        ),
    ),
    PromptRow(
        name="diagnose-provider",
        title="Diagnose a provider",
        description="Find out why a provider is slow, failing or left out.",
        arguments=(Argument("provider", "The provider's id.", required=True),),
        resource=lambda values: f"omniroute://providers/{values['provider']}/metrics",
        text=lambda values: (
            f"What is wrong with the provider {values['provider']}, and what should be done? Its "
            "figures are below. Call omniroute_get_health for breakers and cooldowns and "
            "omniroute_check_quota for what is left of its quota. Name the cause first."
        ),
    ),
    PromptRow(
        name="cost-review",
        title="Review the spending",
        description="Where the money went in a period, and what would save most.",
        arguments=(Argument("period", "session, day, week or month; session without one."),),
        resource=lambda values: f"omniroute://usage/{values.get('period') or 'session'}",
        text=lambda values: (
            f"Review what was spent in this {values.get('period') or 'session'}, from the report "
            "below: the dearest provider and model, whether a budget is near its end, and the "
            "three changes that would save most. Call omniroute_cost_report for other periods."
        ),
    ),
    PromptRow(
        name="explain-request",
        title="Explain a request",
        description="Why one request went where it went, and what else was possible.",
        arguments=(
            Argument("requestId", "The id from X-Request-Id or a tool result.", required=True),
        ),
        resource=lambda values: f"omniroute://routes/{values['requestId']}",
        text=lambda values: (
            f"Explain why the request {values['requestId']} was answered the way it was, from the "
            "decision below: the target, what was tried before, what was left out, the cost. "
            "Call omniroute_replay_route to see whether it would go the same way today."
        ),
    ),
    PromptRow(
        name="incident-summary",
        title="Summarise an incident",
        description="What is failing right now, since when, and what still works.",
        resource=lambda _: "omniroute://health",
        text=lambda _: (
            "Summarise the state of the gateway from the report below: what is failing and since "
            "when, what is merely cooling down, what still works, and when each recovers. Call "
            "omniroute_get_provider_metrics for every provider that is not healthy."
        ),
    ),
    PromptRow(
        name="route-task",
        title="Route a task",
        description="Have a task done by the model that fits it.",
        arguments=(
            Argument("task", "What is to be done.", required=True),
            Argument("taskType", f"The kind of work: {TASK_TYPE}."),
            BUDGET,
        ),
        resource=lambda _: "omniroute://models",
        text=lambda values: (
            f"Have this done by a fitting model{_within(values)}: {values['task']}\n"
            f"The kind of work is {values.get('taskType') or 'for you to judge'}. Choose with "
            "omniroute_best_combo_for_task or from the models below, look at the price with "
            "omniroute_simulate_route, then call omniroute_route_request and pass on its answer "
            "with what it cost."
        ),
    ),
)

PROMPTS: Mapping[str, PromptRow] = {row.name: row for row in _ROWS}
"""Every prompt by name."""


def listed(row: PromptRow, describe: Describe = str) -> types.Prompt:
    """A prompt's entry in the list."""
    return types.Prompt(
        name=row.name,
        title=row.title,
        description=describe(row.description),
        arguments=[
            types.PromptArgument(
                name=one.name, description=one.description, required=one.required or None
            )
            for one in row.arguments
        ],
    )


async def prompt(
    resources: Resources, context: Context, name: str, values: Values
) -> types.GetPromptResult:
    """The messages of one prompt.

    Raises:
        MCPError: there is no such prompt, an argument is missing, or its resource cannot be read.
    """
    row = PROMPTS.get(name)
    if row is None:
        hint = did_you_mean(name, PROMPTS)
        raise _refused(f"There is no prompt '{name}'.{hint}")
    lacking = [one.name for one in row.arguments if one.required and not values.get(one.name)]
    if lacking:
        raise _refused(f"{name} needs {', '.join(lacking)}.")
    contents = await resources.read(context, row.resource(values))
    said = types.TextContent(type="text", text=row.text(values))
    embedded = types.EmbeddedResource(type="resource", resource=contents)
    return types.GetPromptResult(
        description=row.description,
        messages=[
            types.PromptMessage(role="user", content=said),
            types.PromptMessage(role="user", content=embedded),
        ],
    )


def _refused(message: str) -> MCPError:
    return MCPError(code=types.INVALID_PARAMS, message=message)
