"""The model APIs: one route per dialect, all of them the same call."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.response.base import ASGIResponse
from msgspec import Struct

from omniroute.catalog.names import did_you_mean
from omniroute.chat import ChatRequest, Dialect
from omniroute.dialects import CODECS, COMPLETIONS, GENERATE
from omniroute.dialects.codec import ClientCodec
from omniroute.dialects.ollama.lists import loaded
from omniroute.errors import InvalidRequest
from omniroute.http.doors import doors_of
from omniroute.http.models.reply import ChatResponse, json_response
from omniroute.http.peers import headers_of
from omniroute.http.problems import MODEL_PROBLEMS
from omniroute.routing.snapshot import Snapshot

_OBJECT = Schema(type=OpenAPIType.OBJECT)
_BODY = Schema(
    type=OpenAPIType.OBJECT,
    required=["model"],
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
            content={"application/json": OpenAPIMediaType(schema=_BODY)}, required=True
        )


RESPONSES: Mapping[int, ResponseSpec] = {
    200: ResponseSpec(
        data_container=dict[str, Any],
        description="The reply, or its events when a stream is asked for.",
        generate_examples=False,
    ),
    **MODEL_PROBLEMS,
}

Place: TypeAlias = Callable[[str, Snapshot, ChatRequest], ChatRequest]
"""Fills in what the `{provider}` of a path says."""


class ChatRoute(Struct, frozen=True, kw_only=True):
    """One chat route: its path, who speaks there, and its documentation.

    `instant` answers what needs no model.
    """

    path: str
    client: ClientCodec
    name: str
    summary: str
    description: str
    place: Place | None = None
    instant: Callable[[bytes], bytes | None] = lambda _: None


def at_provider(named: str, snapshot: Snapshot, request: ChatRequest) -> ChatRequest:
    """The request with its model at the provider of the path (01 §17).

    Raises:
        InvalidRequest: there is no such provider, or the model names another.
    """
    provider_id = snapshot.provider_named(named)
    if provider_id is None:
        hint = did_you_mean(named, snapshot.prefixes)
        raise InvalidRequest(f"There is no provider '{named}'.{hint}", code="invalid_provider")
    prefix, slash, _ = request.model.partition("/")
    if not slash:
        name = snapshot.written(provider_id, request.model)
        return msgspec.structs.replace(request, model=name)
    if snapshot.provider_named(prefix) != provider_id:
        raise InvalidRequest(
            f"'{request.model}' is not a model of '{named}', which the path names. "
            f"Write '{named}/{request.model}' if that is its whole name there.",
            param="model",
        )
    return request


ROUTES: tuple[ChatRoute, ...] = (
    ChatRoute(
        path="/v1/chat/completions",
        client=CODECS[Dialect.OPENAI_CHAT],
        name="openai_chat",
        summary="Chat completion",
        description="OpenAI Chat Completions, whole or streamed, answered by any target.",
    ),
    ChatRoute(
        path="/v1/providers/{provider:str}/chat/completions",
        client=CODECS[Dialect.OPENAI_CHAT],
        name="provider_chat",
        summary="Chat completion at one provider",
        description="OpenAI Chat Completions, answered by the provider the path names.",
        place=at_provider,
    ),
    ChatRoute(
        path="/v1/completions",
        client=COMPLETIONS,
        name="openai_completions",
        summary="Text completion",
        description="OpenAI's legacy completions: a prompt instead of a conversation.",
    ),
    ChatRoute(
        path="/v1/messages",
        client=CODECS[Dialect.ANTHROPIC],
        name="anthropic",
        summary="Message",
        description="Anthropic Messages, whole or streamed, answered by any target.",
    ),
    ChatRoute(
        path="/api/chat",
        client=CODECS[Dialect.OLLAMA],
        name="ollama_chat",
        summary="Ollama chat",
        description="Ollama's chat, streamed unless `stream` is false, answered by any target.",
        instant=loaded,
    ),
    ChatRoute(
        path="/api/generate",
        client=GENERATE,
        name="ollama_generate",
        summary="Ollama prompt",
        description="Ollama's prompt without a conversation, answered by any target.",
        instant=loaded,
    ),
)
"""Every chat route whose body says it all. Adding one is adding a row."""


def _route(row: ChatRoute) -> HTTPRouteHandler:
    @post(
        row.path,
        status_code=200,
        summary=row.summary,
        description=row.description,
        tags=["Models"],
        operation_id=f"post_{row.name}",
        operation_class=ChatOperation,
        responses=dict(RESPONSES),
    )
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        scope = request.scope
        doors = doors_of(scope)
        amend = None
        if row.place is not None:
            named = request.path_params["provider"]
            amend = partial(row.place, named, doors.engine.snapshot)
        body = await request.body()
        instant = row.instant(body)
        if instant is not None:
            doors.caller_of(scope)
            return json_response(instant)
        return ChatResponse(doors, row.client, body, headers_of(scope), amend)

    return handler


CHAT: tuple[HTTPRouteHandler, ...] = tuple(_route(row) for row in ROUTES)
"""All chat routes."""
