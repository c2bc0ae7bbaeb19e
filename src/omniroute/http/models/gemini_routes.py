"""The Gemini API: the model and what to do with it stand in the path. 01 §5.6."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from litestar import Request
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import UNSET, Struct, UnsetType

from omniroute.chat import ChatRequest, Dialect
from omniroute.dialects import CODECS
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.doors import Doors, doors_of
from omniroute.http.models.chat_routes import RESPONSES, ChatOperation
from omniroute.http.models.reply import ChatResponse, json_response
from omniroute.http.peers import headers_of
from omniroute.http.problems import model_get, model_post
from omniroute.operations.chats import chat
from omniroute.operations.models.models import ModelEntry, get_model, list_models
from omniroute.pipeline.exchange import ChatCall

GEMINI = CODECS[Dialect.GEMINI]
PAGE = 50
LARGEST_PAGE = 1_000
METHODS = ("generateContent", "streamGenerateContent", "countTokens")
_ASSUMED_INPUT_TOKENS, _ASSUMED_OUTPUT_TOKENS = 128_000, 8_192


class GeminiModel(Struct, frozen=True, kw_only=True, rename="camel"):
    """One entry of Gemini's list. Limits are tokens; assumed where nobody knows better."""

    name: str
    version: str = "1"
    display_name: str
    description: str = ""
    input_token_limit: int = _ASSUMED_INPUT_TOKENS
    output_token_limit: int = _ASSUMED_OUTPUT_TOKENS
    supported_generation_methods: tuple[str, ...] = METHODS


class GeminiModelList(Struct, frozen=True, rename="camel"):
    """Gemini's list object."""

    models: list[GeminiModel]
    next_page_token: str | UnsetType = UNSET


class TokenDetails(Struct, frozen=True, rename="camel"):
    """Tokens of one modality."""

    token_count: int
    modality: str = "TEXT"


class TokenTotal(Struct, frozen=True, rename="camel"):
    """Gemini's answer to a count."""

    total_tokens: int
    prompt_tokens_details: tuple[TokenDetails, ...]


@model_post(
    "/v1beta/models/{target:path}",
    status_code=200,
    summary="Gemini content",
    description="Gemini's generateContent, streamGenerateContent (`alt=sse` or a JSON array) "
    "and countTokens, answered by any target.",
    tags=["Models"],
    operation_id="post_gemini",
    operation_class=ChatOperation,
    responses=dict(RESPONSES),
)
async def content(
    request: Request[Any, Any, Any], client: Client, target: FromPath[str]
) -> ASGIResponse:
    doors = doors_of(request.scope)
    model, action = model_and_action(target.lstrip("/"))
    body = await request.body()
    if action == "countTokens":
        total = await _count(doors, request, client, model, body)
        return json_response(msgspec.json.encode(total))
    streaming = action == "streamGenerateContent"
    return ChatResponse(
        doors,
        GEMINI,
        body,
        headers_of(request.scope),
        partial(_amended, model, streaming),
        as_array=streaming and request.query_params.get("alt") != "sse",
    )


def model_and_action(target: str) -> tuple[str, str]:
    """What stands behind `/models/`: the last colon parts the model from the action.

    Raises:
        NotFound: there is no such action.
    """
    model, colon, action = target.rpartition(":")
    if not colon or action not in METHODS:
        raise NotFound(
            f"There is no method '{action if colon else ''}' here. Use {', '.join(METHODS)}.",
            code="not_found",
        )
    return model, action


def _amended(model: str, stream: bool, request: ChatRequest) -> ChatRequest:
    return msgspec.structs.replace(request, model=model, stream=stream)


async def _count(
    doors: Doors,
    request: Request[Any, Any, Any],
    client: Client,
    model: str,
    body: bytes,
) -> TokenTotal:
    asked = GEMINI.decode_request(_counted(body))
    call = ChatCall(
        request_id=request.scope["state"]["request_id"],
        caller=client,
        request=_amended(model, False, asked),
        client=GEMINI,
        body=body,
        headers=headers_of(request.scope),
    )
    found = await chat.count_tokens(doors.engine, call)
    return TokenTotal(found.input_tokens, (TokenDetails(found.input_tokens),))


def _counted(body: bytes) -> bytes:
    """What is to be counted: `contents` alone, or a whole request under its own name."""
    try:
        fields = msgspec.json.decode(body)
    except ValueError as error:
        raise ValidationFailed([("body", "is not valid JSON")]) from error
    inner = fields.get("generateContentRequest") if isinstance(fields, Mapping) else None
    return msgspec.json.encode(inner) if inner is not None else body


@model_get(
    "/v1beta/models", summary="List models", tags=["Models"], operation_id="list_gemini_models"
)
async def gemini_models(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client
) -> GeminiModelList:
    """The model list in Gemini's form, in pages of `pageSize` (50 unless told, at most 1000)."""
    query = request.query_params
    size = min(LARGEST_PAGE, _number(query.get("pageSize"), "pageSize") or PAGE)
    start = _number(query.get("pageToken"), "pageToken") or 0
    entries = [entry for entry in await list_models(engine, client) if entry.parent is None]
    shown = [_entry(entry) for entry in entries[start : start + size]]
    after = start + size
    return GeminiModelList(shown, str(after) if after < len(entries) else UNSET)


@model_get(
    "/v1beta/models/{model_id:path}",
    summary="One model",
    tags=["Models"],
    operation_id="get_gemini_model",
)
async def gemini_model(engine: TheEngine, client: Client, model_id: FromPath[str]) -> GeminiModel:
    """One entry of the list."""
    return _entry(await get_model(engine, client, model_id.lstrip("/")))


def _entry(entry: ModelEntry) -> GeminiModel:
    window = entry.max_input_tokens
    return GeminiModel(
        name=f"models/{entry.id}",
        display_name=entry.root,
        description=f"{entry.root} at {entry.owned_by}",
        input_token_limit=_ASSUMED_INPUT_TOKENS if window is UNSET else window,
    )


def _number(text: str | None, name: str) -> int | None:
    if text is None or text == "":
        return None
    if not text.isdecimal():
        raise InvalidRequest(f"'{name}' must be a number.", param=name)
    return int(text)


GEMINI_ROUTES = (content, gemini_models, gemini_model)
"""All routes of this API."""
