"""The model list, in OpenAI's form or in Anthropic's, as the client asks."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request
from litestar.params import FromPath
from msgspec import Struct

from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.problems import model_get
from omniroute.operations.models.models import (
    ModelEntry,
    get_model,
    list_models,
    list_provider_models,
)


class ModelList(Struct, frozen=True):
    """OpenAI's list object."""

    object: str
    data: list[ModelEntry]


class AnthropicModel(Struct, frozen=True):
    """One entry of Anthropic's list."""

    type: str
    id: str
    display_name: str
    created_at: str


class AnthropicModelList(Struct, frozen=True):
    """Anthropic's list object, always one page."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


@model_get("/v1/models", summary="List models", tags=["Models"], operation_id="list_models")
async def models_route(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client
) -> ModelList | AnthropicModelList:
    """Every combo and model that can be asked for. With an `anthropic-version` header the list
    has Anthropic's shape."""
    entries = await list_models(engine, client)
    if "anthropic-version" not in request.headers:
        return ModelList("list", entries)
    shown = [_anthropic(entry) for entry in entries]
    return AnthropicModelList(
        shown, False, shown[0].id if shown else None, shown[-1].id if shown else None
    )


@model_get(
    "/v1/models/{model_id:path}", summary="One model", tags=["Models"], operation_id="get_model"
)
async def model_route(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client, model_id: FromPath[str]
) -> ModelEntry | AnthropicModel:
    """One entry of the list. Ids may hold slashes."""
    entry = await get_model(engine, client, model_id.lstrip("/"))
    return _anthropic(entry) if "anthropic-version" in request.headers else entry


@model_get(
    "/v1/providers/{provider:str}/models",
    summary="Models of one provider",
    tags=["Models"],
    operation_id="list_provider_models",
)
async def provider_models_route(
    engine: TheEngine, client: Client, provider: FromPath[str]
) -> ModelList:
    """The models of one provider, their ids without its prefix (01 §17)."""
    return ModelList("list", await list_provider_models(engine, client, provider))


def _anthropic(entry: ModelEntry) -> AnthropicModel:
    created = datetime.fromtimestamp(entry.created, UTC).isoformat().replace("+00:00", "Z")
    return AnthropicModel("model", entry.id, entry.root, created)


MODEL_ROUTES = (models_route, model_route, provider_models_route)
"""All of them."""
