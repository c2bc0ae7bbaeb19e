"""Models operators add, hide and treat otherwise, as routes (02 §4.11)."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.models import custom_models
from omniroute.operations.models.custom_models import ModelChange, ModelChanged

Named = Annotated[str | None, QueryParameter()]
OfProvider = Annotated[str, QueryParameter()]
ById = Annotated[str | None, QueryParameter(name="modelId")]
Everything = Annotated[bool, QueryParameter(name="all")]


@get("/api/provider-models", tags=["Models"], operation_id="list_custom_models")
async def list_custom_models(
    engine: TheEngine, operator: Operator, provider: Named = None
) -> custom_models.CustomModels:
    """The models that were added by hand, and what is done otherwise for single models."""
    return await custom_models.list_custom_models(engine, operator, provider)


@post("/api/provider-models", status_code=200, tags=["Models"], operation_id="add_custom_model")
async def add_custom_model(
    engine: TheEngine, operator: Operator, data: JSONBody[ModelChange]
) -> ModelChanged:
    """Add a model that a provider serves and does not list, or say how one is spoken to."""
    return await custom_models.add_custom_model(engine, operator, data)


@put("/api/provider-models", tags=["Models"], operation_id="change_custom_model")
async def change_custom_model(
    engine: TheEngine, operator: Operator, data: JSONBody[ModelChange]
) -> ModelChanged:
    """Change what is named of a model that was added, or what is done otherwise for any model."""
    return await custom_models.change_custom_model(engine, operator, data)


@patch("/api/provider-models", tags=["Models"], operation_id="hide_models")
async def hide_models(
    engine: TheEngine,
    operator: Operator,
    data: JSONBody[custom_models.Hiding],
    provider: OfProvider = "",
    model: Named = None,
    model_id: ById = None,
) -> custom_models.Hidden:
    """Leave models out of lists, or list them again; their aliases go and come back with them."""
    named = [one for one in (model, model_id) if one is not None]
    return await custom_models.hide_models(engine, operator, provider, named, data)


@delete(
    "/api/provider-models", status_code=200, tags=["Models"], operation_id="delete_custom_model"
)
async def delete_custom_model(
    engine: TheEngine,
    operator: Operator,
    provider: OfProvider,
    model: Named = None,
    all_models: Everything = False,
) -> custom_models.Removed:
    """Remove a model that was added by hand; with `all=true` all of a provider."""
    return await custom_models.delete_custom_model(
        engine, operator, provider, model, everything=all_models
    )


CUSTOM_MODELS: tuple[HTTPRouteHandler, ...] = (
    list_custom_models,
    add_custom_model,
    change_custom_model,
    hide_models,
    delete_custom_model,
)
"""Every route about models operators add."""
