"""The model APIs: one route per dialect, all of them the same call."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Router, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from omniroute.chat import Dialect
from omniroute.http.access import headers_of
from omniroute.http.reply import ChatResponse, ChatSurface

_OBJECT = Schema(type=OpenAPIType.OBJECT)
_MODEL_AND_MESSAGES = Schema(
    type=OpenAPIType.OBJECT,
    required=["model", "messages"],
    properties={
        "model": Schema(type=OpenAPIType.STRING, min_length=1, max_length=200),
        "messages": Schema(type=OpenAPIType.ARRAY, items=_OBJECT, min_items=1),
        "stream": Schema(type=OpenAPIType.BOOLEAN),
    },
)


class ChatOperation(Operation):
    """Documents the body that the handler reads for itself."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=_MODEL_AND_MESSAGES)},
            required=True,
        )


RESPONSES: Mapping[int, ResponseSpec] = {
    status: ResponseSpec(data_container=dict[str, Any], description=text, generate_examples=False)
    for status, text in {
        200: "The reply, or with `stream: true` its events as text/event-stream.",
        400: "The request is not valid, or names an unknown model.",
        401: "An API key is required.",
        403: "The API key may not do this.",
        413: "The body is over the limit.",
        429: "A limit of the gateway or of every upstream account is reached.",
        502: "Every upstream failed.",
        503: "Nothing can be tried right now.",
        504: "No upstream answered in time.",
    }.items()
}

ROUTES: Mapping[str, tuple[Dialect, str, str]] = {
    "/v1/chat/completions": (
        Dialect.OPENAI_CHAT,
        "Chat completion",
        "OpenAI Chat Completions, whole or streamed, answered by any configured target.",
    ),
    "/v1/messages": (
        Dialect.ANTHROPIC,
        "Message",
        "Anthropic Messages, whole or streamed, answered by any configured target.",
    ),
}
"""Path, dialect and documentation of each chat route."""


def chat_router(surface: ChatSurface) -> Router:
    """All chat routes."""
    return Router("/", route_handlers=[_route(surface, path, *row) for path, row in ROUTES.items()])


def _route(
    surface: ChatSurface, path: str, dialect: Dialect, summary: str, description: str
) -> HTTPRouteHandler:
    @post(
        path,
        status_code=200,
        summary=summary,
        description=description,
        tags=["Models"],
        operation_id=f"post_{dialect.value.replace('-', '_')}",
        operation_class=ChatOperation,
        responses=dict(RESPONSES),
    )
    async def handler(request: Request[Any, Any, Any]) -> ChatResponse:
        scope = request.scope
        return ChatResponse(surface, dialect, await request.body(), headers_of(scope))

    return handler
