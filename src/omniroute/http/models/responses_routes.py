"""The Responses API: answers that can be built upon and asked for again. 01 §5.5."""

import re
from typing import Any, Literal

import msgspec
from litestar import Request
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.chat import ChatReply, Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.fields import read_object
from omniroute.dialects.sse import split
from omniroute.errors import InvalidRequest
from omniroute.http.dependencies import Client, TheEngine
from omniroute.http.doors import Doors, doors_of
from omniroute.http.models.chat_routes import RESPONSES, ChatOperation
from omniroute.http.models.reply import ChatResponse, json_response
from omniroute.http.models.token_routes import NO_MODEL, counted
from omniroute.http.peers import headers_of
from omniroute.http.problems import model_delete, model_get, model_post
from omniroute.operations.chats import responses
from omniroute.operations.chats.responses import AskedResponse, DeletedResponse, ItemList, Wire
from omniroute.pipeline.exchange import ChatCall

CODEC = CODECS[Dialect.OPENAI_RESPONSES]
MOST_ITEMS = 100
_ENDINGS = (b"response.completed", b"response.incomplete", b"response.failed")
_MEMORY = re.compile(rb'"(?:store"\s*:\s*(?:true|false)|previous_response_id"\s*:\s*null)')
"""What an upstream says of memory, which is the gateway's own. Within a text quotes are escaped."""

AnyRequest = Request[Any, Any, Any]


class CountedInput(Struct, frozen=True, kw_only=True):
    """A count, in wire names."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class Keeper:
    """Stores the response that passes by, before its last byte leaves.

    So a client that at once builds upon it finds it.
    """

    def __init__(self, doors: Doors, caller: Caller, question: AskedResponse) -> None:
        self._doors = doors
        self._caller = caller
        self._question = question

    async def __call__(self, output: bytes) -> bytes:
        """One whole reply, or some frames of a stream, with our memory put in."""
        output = _MEMORY.sub(self._remembered, output)
        if not self._question.stored:
            return output
        if output.startswith(b"{"):
            await self._keep(msgspec.json.decode(output))
        elif any(ending in output for ending in _ENDINGS):
            for event in split(output):
                data = msgspec.json.decode(event.data)
                if str(data.get("type")).encode() in _ENDINGS:
                    await self._keep(data["response"])
        return output

    def _remembered(self, said: re.Match[bytes]) -> bytes:
        if said[0].startswith(b'"store'):
            return b'"store":' + msgspec.json.encode(self._question.stored)
        return b'"previous_response_id":' + msgspec.json.encode(self._question.previous_id)

    async def _keep(self, response: Wire) -> None:
        await responses.keep(self._doors.engine, self._caller, self._question, response)


@model_post(
    "/v1/responses",
    status_code=200,
    summary="Response",
    description="OpenAI Responses, whole, streamed or in the background, answered by any "
    "target. Stored unless `store` is false, so that `previous_response_id` works with all.",
    tags=["Responses"],
    operation_id="post_openai_responses",
    operation_class=ChatOperation,
    responses=dict(RESPONSES),
)
async def create(request: AnyRequest, client: Client) -> ASGIResponse:
    return await _answered(request, client)


@model_post(
    "/v1/responses/input_tokens",
    status_code=200,
    summary="Count tokens",
    description="The input tokens of a response that is not asked for; `model` may be missing.",
    tags=["Responses"],
    operation_id="count_response_tokens",
)
async def count(request: AnyRequest, engine: TheEngine, client: Client) -> CountedInput:
    fields = read_object(await request.body())
    named = "model" in fields
    whole = {"model": NO_MODEL, **fields}
    body = msgspec.json.encode(whole)
    question = await responses.asked(engine, client, body, whole)
    asked = ChatCall(
        request_id=request.scope["state"]["request_id"],
        caller=client,
        request=CODEC.decode_request(question.body),
        client=CODEC,
        body=question.body,
        headers=headers_of(request.scope),
    )
    found = await counted(engine, asked, named=named)
    return CountedInput(input_tokens=found.input_tokens)


@model_post("/v1/responses/{action:str}", status_code=200, include_in_schema=False)
async def act(request: AnyRequest, client: Client) -> ASGIResponse:
    """Clients name actions of their own provider here; any target answers them plainly."""
    return await _answered(request, client)


@model_post(
    "/v1/responses/{response_id:str}/cancel",
    status_code=200,
    summary="Cancel a response",
    tags=["Responses"],
    operation_id="cancel_response",
)
async def cancel(
    request: AnyRequest, engine: TheEngine, client: Client, response_id: FromPath[str]
) -> Wire:
    """Stop a background response."""
    cancelled = await responses.cancel_response(engine, client, response_id)
    doors_of(request.scope).background.stop(response_id)
    return cancelled


async def _answered(request: AnyRequest, client: Caller) -> ASGIResponse:
    doors = doors_of(request.scope)
    body = await request.body()
    question = await responses.asked(doors.engine, client, body, read_object(body))
    if question.background:
        return await _queued(doors, client, question)
    keeper = Keeper(doors, client, question)
    headers = headers_of(request.scope)
    return ChatResponse(doors, CODEC, question.body, headers, keep=keeper)


async def _queued(doors: Doors, caller: Caller, question: AskedResponse) -> ASGIResponse:
    asked = CODEC.decode_request(question.body)  # what cannot be read is refused now, not later
    engine = doors.engine
    engine.chat.plan(ChatCall(engine.new_id(), caller, asked))  # nor what nobody could answer
    unmade = ChatReply(
        id=engine.new_id().replace("-", ""), model=asked.model, created_s=engine.now_ms() // 1000
    )
    shown: Wire = msgspec.json.decode(CODEC.encode_reply(unmade, asked))
    shown |= {"status": "queued", "background": True, "store": True, "output": [], "usage": None}
    shown["previous_response_id"] = question.previous_id
    await responses.keep(engine, caller, question, shown)
    doors.background.wake()
    return json_response(msgspec.json.encode(shown))


@model_get(
    "/v1/responses/{response_id:str}",
    summary="One response",
    tags=["Responses"],
    operation_id="get_response",
)
async def one_response(
    request: AnyRequest, engine: TheEngine, client: Client, response_id: FromPath[str]
) -> Wire:
    """A stored response; `status` says how far a background one is."""
    if request.query_params.get("stream") == "true":
        raise InvalidRequest(
            "A stored response is not streamed again; leave 'stream' out.",
            code="unsupported_feature",
            param="stream",
        )
    return await responses.get_response(engine, client, response_id)


@model_delete(
    "/v1/responses/{response_id:str}",
    status_code=200,
    summary="Delete a response",
    tags=["Responses"],
    operation_id="delete_response",
)
async def forget(engine: TheEngine, client: Client, response_id: FromPath[str]) -> DeletedResponse:
    """Forget a response. Those built upon it cannot be built upon any more."""
    return await responses.delete_response(engine, client, response_id)


@model_get(
    "/v1/responses/{response_id:str}/input_items",
    summary="Input of a response",
    tags=["Responses"],
    operation_id="list_input_items",
)
async def input_items(
    request: AnyRequest, engine: TheEngine, client: Client, response_id: FromPath[str]
) -> ItemList:
    """The items a response answered, newest first unless `order` is `asc`."""
    query = request.query_params
    limit = query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_ITEMS:
        raise InvalidRequest(f"'limit' must be between 1 and {MOST_ITEMS}.", param="limit")
    return await responses.list_input_items(
        engine,
        client,
        response_id,
        limit=int(limit),
        after=query.get("after"),
        newest_first=query.get("order") != "asc",
    )


RESPONSES_ROUTES = (create, count, act, cancel, one_response, forget, input_items)
"""All routes of this API."""
