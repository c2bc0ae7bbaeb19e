"""Settings as routes (02 §10.1)."""

from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, patch, put
from omniroute.operations.configuration import settings


@get("/api/settings", tags=["Settings"], operation_id="get_settings")
async def get_settings(engine: TheEngine, operator: Operator) -> dict[str, Any]:
    """Every setting with its value in force."""
    return await settings.get_settings(engine, operator)


@patch("/api/settings", tags=["Settings"], operation_id="change_settings")
async def change_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> dict[str, Any]:
    """Change the settings that are named; null restores a default. In force from the next
    request on."""
    return await settings.change_settings(engine, operator, data)


@put("/api/settings", tags=["Settings"], operation_id="put_settings")
async def put_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> dict[str, Any]:
    """The same as PATCH, for clients that say PUT."""
    return await settings.change_settings(engine, operator, data)


SETTINGS: tuple[HTTPRouteHandler, ...] = (get_settings, change_settings, put_settings)
"""Every route about settings as a whole."""
