"""What every request is changed to, as routes (02 §10.5-10.6)."""

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, put
from omniroute.operations.routing import shaping
from omniroute.routing.shaping import SystemPrompt, ThinkingBudget


@get("/api/settings/system-prompt", tags=["Settings"], operation_id="get_system_prompt")
async def system_prompt(engine: TheEngine, operator: Operator) -> SystemPrompt:
    """The text that stands before the system text of every request."""
    return await shaping.system_prompt(engine, operator)


@put("/api/settings/system-prompt", tags=["Settings"], operation_id="change_system_prompt")
async def change_system_prompt(
    engine: TheEngine, operator: Operator, data: JSONBody[shaping.SystemPromptChange]
) -> SystemPrompt:
    """Change the text, or switch it on or off."""
    return await shaping.change_system_prompt(engine, operator, data)


@get("/api/settings/thinking-budget", tags=["Settings"], operation_id="get_thinking_budget")
async def thinking_budget(engine: TheEngine, operator: Operator) -> ThinkingBudget:
    """How much thinking requests ask for."""
    return await shaping.thinking_budget(engine, operator)


@put("/api/settings/thinking-budget", tags=["Settings"], operation_id="change_thinking_budget")
async def change_thinking_budget(
    engine: TheEngine, operator: Operator, data: JSONBody[shaping.ThinkingBudgetChange]
) -> ThinkingBudget:
    """Leave thinking to clients, to models, fix it, or let it follow the request."""
    return await shaping.change_thinking_budget(engine, operator, data)


SHAPING: tuple[HTTPRouteHandler, ...] = (
    system_prompt,
    change_system_prompt,
    thinking_budget,
    change_thinking_budget,
)
"""Every route about what requests are changed to."""
