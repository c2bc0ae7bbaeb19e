"""Compression as routes (02 §10.7, §11)."""

from typing import Annotated, Any

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, post, put
from omniroute.operations.compression import analytics, combos, settings, status
from omniroute.operations.compression.analytics import Since
from omniroute.routing.compression import Compression, Rtk

Period = Annotated[Since, QueryParameter(name="since")]


class Deleted(Struct, frozen=True):
    """It is gone."""

    ok: bool = True


@get("/api/compression/status", tags=["Compression"], operation_id="compression_status")
async def compression_status(engine: TheEngine, operator: Operator) -> status.CompressionStatus:
    """What is on and what it saved; whether prompts are compressed."""
    return await status.compression_status(engine, operator)


@get("/api/settings/compression", tags=["Compression"], operation_id="compression_settings")
async def compression_settings(engine: TheEngine, operator: Operator) -> Compression:
    """Everything that holds, with its defaults."""
    return await settings.compression_settings(engine, operator)


@put("/api/settings/compression", tags=["Compression"], operation_id="change_compression")
async def change_compression_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> Compression:
    """Change what is named, section by section; in force from the next request on."""
    return await settings.change_compression(engine, operator, data)


@get("/api/context/caveman/config", tags=["Compression"], operation_id="caveman_settings")
async def caveman_settings(engine: TheEngine, operator: Operator) -> Compression:
    """The same as `/api/settings/compression`."""
    return await settings.compression_settings(engine, operator)


@put("/api/context/caveman/config", tags=["Compression"], operation_id="change_caveman")
async def change_caveman_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> Compression:
    """The same as `/api/settings/compression`."""
    return await settings.change_compression(engine, operator, data)


@get("/api/context/rtk/config", tags=["Compression"], operation_id="get_rtk_settings")
async def rtk_settings(engine: TheEngine, operator: Operator) -> Rtk:
    """How outputs of commands are to be condensed."""
    return await settings.rtk_settings(engine, operator)


@put("/api/context/rtk/config", tags=["Compression"], operation_id="change_rtk_settings")
async def change_rtk_settings(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> Rtk:
    """Change what is named of that."""
    return await settings.change_rtk(engine, operator, data)


@get("/api/context/analytics", tags=["Compression"], operation_id="compression_analytics")
async def context_analytics(
    engine: TheEngine, operator: Operator, since: Period = "24h"
) -> analytics.Analytics:
    """What compression saved, as it was measured."""
    return await analytics.compression_analytics(engine, operator, since)


@get("/api/analytics/compression", tags=["Compression"], operation_id="analytics_of_compression")
async def get_analytics(
    engine: TheEngine, operator: Operator, since: Period = "24h"
) -> analytics.Analytics:
    """The same as `/api/context/analytics`."""
    return await analytics.compression_analytics(engine, operator, since)


@get("/api/context/combos", tags=["Compression"], operation_id="list_compression_combos")
async def list_combos(engine: TheEngine, operator: Operator) -> combos.CompressionCombos:
    """The named pipelines, the default one first."""
    return await combos.list_compression_combos(engine, operator)


@post("/api/context/combos", tags=["Compression"], operation_id="create_compression_combo")
async def create_combo(
    engine: TheEngine, operator: Operator, data: JSONBody[combos.CompressionComboInput]
) -> combos.CompressionComboView:
    """Make a pipeline; a new default takes the place of the old one."""
    return await combos.create_compression_combo(engine, operator, data)


@get(
    "/api/context/combos/{combo_id:str}", tags=["Compression"], operation_id="get_compression_combo"
)
async def get_combo(
    engine: TheEngine, operator: Operator, combo_id: FromPath[str]
) -> combos.CompressionComboView:
    """One pipeline."""
    return await combos.compression_combo(engine, operator, combo_id)


@put(
    "/api/context/combos/{combo_id:str}",
    tags=["Compression"],
    operation_id="change_compression_combo",
)
async def change_combo(
    engine: TheEngine,
    operator: Operator,
    combo_id: FromPath[str],
    data: JSONBody[combos.CompressionComboChange],
) -> combos.CompressionComboView:
    """Change what is named of a pipeline."""
    return await combos.change_compression_combo(engine, operator, combo_id, data)


@delete(
    "/api/context/combos/{combo_id:str}",
    tags=["Compression"],
    operation_id="delete_compression_combo",
    status_code=200,
)
async def delete_combo(engine: TheEngine, operator: Operator, combo_id: FromPath[str]) -> Deleted:
    """Remove a pipeline; the default one stays."""
    await combos.delete_compression_combo(engine, operator, combo_id)
    return Deleted()


@get(
    "/api/context/combos/{combo_id:str}/assignments",
    tags=["Compression"],
    operation_id="compression_combo_assignments",
)
async def get_assignments(
    engine: TheEngine, operator: Operator, combo_id: FromPath[str]
) -> combos.Assignments:
    """The combos a pipeline is for."""
    return await combos.assignments(engine, operator, combo_id)


@put(
    "/api/context/combos/{combo_id:str}/assignments",
    tags=["Compression"],
    operation_id="assign_compression_combo",
)
async def assign(
    engine: TheEngine,
    operator: Operator,
    combo_id: FromPath[str],
    data: JSONBody[combos.AssignmentsInput],
) -> combos.Assignments:
    """Have a pipeline be for these combos and no others."""
    return await combos.assign(engine, operator, combo_id, data)


COMPRESSION: tuple[HTTPRouteHandler, ...] = (
    compression_status,
    compression_settings,
    change_compression_settings,
    caveman_settings,
    change_caveman_settings,
    rtk_settings,
    change_rtk_settings,
    context_analytics,
    get_analytics,
    list_combos,
    create_combo,
    get_combo,
    change_combo,
    delete_combo,
    get_assignments,
    assign,
)
"""Every route about compression."""
