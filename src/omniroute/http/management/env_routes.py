"""The env file as routes: what is missing in it, and its repair. 02 §27."""

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, post
from omniroute.operations.inputs import decode_input
from omniroute.operations.system import env_repair


@get("/api/system/env/repair", tags=["System"], operation_id="env_state")
async def env_state(engine: TheEngine, operator: Operator) -> env_repair.EnvState:
    """Which variables sign-ins lack. Nothing is changed, no value is shown."""
    return await env_repair.env_state(engine, operator)


@post("/api/system/env/repair", status_code=200, tags=["System"], operation_id="repair_env")
async def repair_env(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> env_repair.Repaired:
    """Put the variables of sign-ins in order. The body is optional: `{"provider": "..."}`."""
    which = decode_input(env_repair.RepairInput, await request.body() or b"{}")
    return await env_repair.repair_env(engine, operator, which)


ENV: tuple[HTTPRouteHandler, ...] = (env_state, repair_env)
"""Every route about the env file."""
