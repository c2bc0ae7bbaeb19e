"""Counting tokens without asking for an answer."""

from typing import Any

import msgspec
from litestar import Request

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.engine import Engine
from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.peers import headers_of
from omniroute.http.problems import model_post
from omniroute.operations.chats import chat
from omniroute.operations.inputs import decode_input
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.tokens.token_count import TokenCount, estimated

NO_MODEL = "any"


@model_post(
    "/v1/messages/count_tokens",
    status_code=200,
    summary="Count tokens",
    tags=["Models"],
    operation_id="count_tokens",
)
async def count_tokens_route(
    request: Request[Any, Any, Any], engine: TheEngine, client: Client
) -> TokenCount:
    """The input tokens of an Anthropic request; `model` may be missing. The provider's own count
    when a model is named and its account allows it, an estimate otherwise."""
    body = await request.body()
    fields = decode_input(dict[str, Any], body)
    if "model" not in fields:
        body = msgspec.json.encode({**fields, "model": NO_MODEL})
    call = ChatCall(
        request_id=request.scope["state"]["request_id"],
        caller=client,
        request=CODECS[Dialect.ANTHROPIC].decode_request(body),
        client=CODECS[Dialect.ANTHROPIC],
        body=body,
        headers=headers_of(request.scope),
    )
    return await counted(engine, call, named="model" in fields)


async def counted(engine: Engine, call: ChatCall, *, named: bool) -> TokenCount:
    """The tokens of a call; whose they would be is not known when no model is `named`."""
    return await (chat.count_tokens(engine, call) if named else estimated(call))
