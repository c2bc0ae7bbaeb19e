"""Combos as routes: kept, ordered, probed and measured. Source: 02 §7.6."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.combos import combo_metrics, combo_test, combos
from omniroute.operations.combos.combo_metrics import AllCombosMetrics, OneCombosMetrics
from omniroute.operations.combos.combos import ComboView
from omniroute.operations.configuration import settings


class Combos(Struct, frozen=True):
    """A page of combos, and how many there are in all."""

    combos: list[ComboView]
    total: int


class Told(Struct, frozen=True):
    """It was done, and what that means."""

    success: bool
    message: str


Named = Annotated[str | None, QueryParameter(name="combo")]


@get("/api/combos", tags=["Combos"], operation_id="list_combos")
async def list_combos(
    engine: TheEngine, operator: Operator, limit: Limit = None, offset: Offset = 0
) -> Combos:
    """A page of combos by sort order; all of them without `limit`."""
    return Combos(*await combos.page_of_combos(engine, operator, limit, offset))


@post("/api/combos", tags=["Combos"], operation_id="create_combo")
async def create_combo(
    engine: TheEngine, operator: Operator, data: JSONBody[combos.ComboInput]
) -> ComboView:
    """Add a combo; it answers as a model from the next request on."""
    return await combos.create_combo(engine, operator, data)


@post("/api/combos/reorder", status_code=200, tags=["Combos"], operation_id="reorder_combos")
async def reorder(
    engine: TheEngine, operator: Operator, data: JSONBody[combos.ComboOrder]
) -> Combos:
    """Put combos in an order."""
    ordered = await combos.reorder_combos(engine, operator, data)
    return Combos(ordered, len(ordered))


@post("/api/combos/test", status_code=200, tags=["Combos"], operation_id="test_combo")
async def probe(
    engine: TheEngine, operator: Operator, data: JSONBody[combo_test.ComboTestInput]
) -> combo_test.ComboTest:
    """Ask every target of a combo a small question, at once."""
    return await combo_test.test_combo(engine, operator, data)


@get("/api/combos/metrics", tags=["Combos"], operation_id="combo_metrics")
async def metrics(
    engine: TheEngine, operator: Operator, combo: Named = None
) -> OneCombosMetrics | AllCombosMetrics:
    """What came of a combo's requests, or of every combo's."""
    if combo is None:
        return await combo_metrics.metrics_of_all_combos(engine, operator)
    return await combo_metrics.metrics_of_combo(engine, operator, combo)


@delete("/api/combos/metrics", status_code=200, tags=["Combos"], operation_id="reset_combo_metrics")
async def reset_metrics(engine: TheEngine, operator: Operator, combo: Named = None) -> Told:
    """Count from now on."""
    return Told(True, await combo_metrics.reset_combo_metrics(engine, operator, combo))


@get("/api/combos/{combo_id:str}", tags=["Combos"], operation_id="get_combo")
async def get_combo(engine: TheEngine, operator: Operator, combo_id: FromPath[str]) -> ComboView:
    """One combo."""
    return await combos.get_combo(engine, operator, combo_id)


@put("/api/combos/{combo_id:str}", tags=["Combos"], operation_id="change_combo")
async def change_combo(
    engine: TheEngine,
    operator: Operator,
    combo_id: FromPath[str],
    data: JSONBody[combos.ComboChange],
) -> ComboView:
    """Change what is named of a combo; the rest stays."""
    return await combos.change_combo(engine, operator, combo_id, data)


@patch("/api/combos/{combo_id:str}", tags=["Combos"], operation_id="patch_combo")
async def patch_combo(
    engine: TheEngine,
    operator: Operator,
    combo_id: FromPath[str],
    data: JSONBody[combos.ComboChange],
) -> ComboView:
    """The same as PUT, for clients that say PATCH."""
    return await combos.change_combo(engine, operator, combo_id, data)


@delete("/api/combos/{combo_id:str}", status_code=200, tags=["Combos"], operation_id="delete_combo")
async def delete_combo(engine: TheEngine, operator: Operator, combo_id: FromPath[str]) -> Done:
    """Delete a combo."""
    await combos.delete_combo(engine, operator, combo_id)
    return Done()


@get("/api/settings/combo-defaults", tags=["Combos"], operation_id="get_combo_defaults")
async def combo_defaults(engine: TheEngine, operator: Operator) -> settings.ComboDefaults:
    """What combos do unless they say otherwise, for all and by provider."""
    return await settings.combo_defaults(engine, operator)


@patch("/api/settings/combo-defaults", tags=["Combos"], operation_id="change_combo_defaults")
async def change_combo_defaults(
    engine: TheEngine, operator: Operator, data: JSONBody[settings.ComboDefaultsChange]
) -> settings.ComboDefaults:
    """Replace either of them."""
    return await settings.change_combo_defaults(engine, operator, data)


COMBOS: tuple[HTTPRouteHandler, ...] = (
    list_combos,
    create_combo,
    reorder,
    probe,
    metrics,
    reset_metrics,
    get_combo,
    change_combo,
    patch_combo,
    delete_combo,
    combo_defaults,
    change_combo_defaults,
)
"""Every route about combos."""
