"""What Ollama clients ask beside chats: which models there are, and who answers. 01 §5.7."""

from typing import Any

from litestar import Request

from omniroute.clock import iso
from omniroute.dialects.ollama import lists
from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.problems import model_get, model_post
from omniroute.operations.inputs import decode_input
from omniroute.operations.models.models import get_model, list_models


@model_get("/api/tags", summary="List models", tags=["Models"], operation_id="list_ollama_models")
async def tags_route(engine: TheEngine, client: Client) -> dict[str, Any]:
    """Every combo and model, in Ollama's form."""
    entries = await list_models(engine, client)
    started = iso(engine.started_at_ms)
    shown = [lists.tag(one.id, one.owned_by, started) for one in entries if one.parent is None]
    return {"models": shown}


@model_post(
    "/api/show",
    status_code=200,
    summary="One model",
    tags=["Models"],
    operation_id="show_ollama_model",
)
async def show_route(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client
) -> dict[str, Any]:
    """What is known about one model, in Ollama's form."""
    asked = decode_input(lists.ShowRequest, await request.body())
    entry = await get_model(engine, client, asked.named)
    return lists.shown(entry.id, entry.owned_by, iso(engine.started_at_ms))


@model_get("/api/version", summary="Version", tags=["Models"], operation_id="ollama_version")
async def version_route(engine: TheEngine, client: Client) -> dict[str, str]:  # noqa: ARG001
    """The version, as Ollama clients ask for it."""
    return {"version": engine.version}


@model_get("/api/ps", summary="Loaded models", tags=["Models"], operation_id="ollama_running")
async def running_route(client: Client) -> dict[str, Any]:  # noqa: ARG001
    """Models in memory: none, for the gateway runs none itself."""
    return {"models": []}


OLLAMA_ROUTES = (tags_route, show_route, version_route, running_route)
"""All of them."""
