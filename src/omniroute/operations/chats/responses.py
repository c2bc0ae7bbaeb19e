"""Stored responses: what the Responses API remembers between requests. 01 §5.5.

What is stored is what went over the wire: the client's body and the response object. A request
that names a `previous_response_id` gets the conversation so far put in front of its input, so
that any target can answer it and none needs a memory of its own.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Conflict, InvalidRequest, NotFound
from omniroute.storage.records.agents import ResponseRow
from omniroute.storage.responses import RUNNING

RETENTION_MS = 30 * 24 * 3600 * 1000
"""How long a stored response can be read; as long as OpenAI keeps them."""

LONGEST_CHAIN = 1_000
"""Turns of one conversation; more than any model reads."""

Wire = dict[str, Any]


class AskedResponse(Struct, frozen=True):
    """A request of the Responses API, its history put in.

    `body` is what the engine gets, `request` what the client sent. `stored` says whether the
    client may come back for the response, `background` whether it does not wait for it.
    """

    body: bytes
    request: Wire
    previous_id: str | None
    stored: bool
    background: bool


class ItemList(Struct, frozen=True, kw_only=True):
    """A page of input items, in wire names."""

    object: Literal["list"] = "list"
    data: list[Wire]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedResponse(Struct, frozen=True, kw_only=True):
    """The answer to a deletion, in wire names."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


async def asked(engine: Engine, caller: Caller, body: bytes, request: Wire) -> AskedResponse:
    """Read what of a request is about memory, and put its history in.

    Raises:
        InvalidRequest: the previous response does not exist, belongs to somebody else or has not
            ended, or the request contradicts itself.
    """
    if request.get("conversation") is not None:
        raise InvalidRequest(
            "Conversations are not provided here; chain with 'previous_response_id' instead.",
            code="unsupported_feature",
            param="conversation",
        )
    stored = request.get("store") is not False
    background = request.get("background") is True
    if background and not stored:
        raise InvalidRequest(
            "A background response has to be stored, or nobody could read it.", param="store"
        )
    if background and request.get("stream") is True:
        raise InvalidRequest(
            "A background response is not streamed; leave 'stream' out and read it by its id.",
            code="unsupported_feature",
            param="stream",
        )
    previous = request.get("previous_response_id")
    if previous is None:
        return AskedResponse(body, request, None, stored, background)
    if not isinstance(previous, str):
        raise InvalidRequest(
            "'previous_response_id' must be a string.", param="previous_response_id"
        )
    history = await _history(engine, caller, previous)
    whole = {**request, "input": [*history, *input_items(request)]}
    return AskedResponse(msgspec.json.encode(whole), request, previous, stored, background)


def input_items(request: Wire) -> list[Wire]:
    """The input of a request as a list of items, whichever form it came in."""
    given = request.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if isinstance(given, dict):
        return [given]
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []


async def _history(engine: Engine, caller: Caller, newest: str) -> list[Wire]:
    turns: list[list[Wire]] = []
    seen: set[str] = set()
    at: str | None = newest
    async with engine.database.reading() as work:
        while at is not None and at not in seen and len(turns) < LONGEST_CHAIN:
            seen.add(at)
            row = await work.responses.get(at, engine.now_ms())
            if row is None or row.owner != caller.owner:
                raise InvalidRequest(
                    f"There is no stored response '{at}'. It may have expired, been deleted, or "
                    "been asked for with 'store': false.",
                    code="previous_response_not_found",
                    param="previous_response_id",
                )
            if row.status in RUNNING:
                raise InvalidRequest(
                    f"The response '{at}' has not ended yet.", param="previous_response_id"
                )
            said = msgspec.json.decode(row.response).get("output") or []
            turns.append([*input_items(msgspec.json.decode(row.request)), *said])
            at = row.previous_id
    return [item for turn in reversed(turns) for item in turn]


async def keep(engine: Engine, caller: Caller, question: AskedResponse, response: Wire) -> None:
    """Store a response that has ended. One of the same id and owner is replaced."""
    row = _row(engine, caller, question, response)
    async with engine.database.work() as work:
        await work.responses.add(row)


def _row(engine: Engine, caller: Caller, question: AskedResponse, response: Wire) -> ResponseRow:
    now_ms = engine.now_ms()
    return ResponseRow(
        id=str(response["id"]),
        owner=caller.owner,
        status=str(response.get("status", "completed")),
        background=question.background,
        previous_id=question.previous_id,
        request=msgspec.json.encode(question.request).decode(),
        response=msgspec.json.encode(response).decode(),
        lease_until_ms=0,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + RETENTION_MS,
    )


async def _owned(engine: Engine, caller: Caller, response_id: str) -> ResponseRow:
    async with engine.database.reading() as work:
        row = await work.responses.get(response_id, engine.now_ms())
    if row is None or row.owner != caller.owner:
        raise NotFound(f"There is no response '{response_id}'.", code="not_found")
    return row


async def get_response(engine: Engine, caller: Caller, response_id: str) -> Wire:
    """A stored response as it went over the wire.

    Raises:
        NotFound: there is none with this id, or not for this caller.
    """
    row = await _owned(engine, caller, response_id)
    found: Wire = msgspec.json.decode(row.response)
    return found


async def delete_response(engine: Engine, caller: Caller, response_id: str) -> DeletedResponse:
    """Forget a response; one that is being made is not made.

    Raises:
        NotFound: as for `get_response`.
    """
    await _owned(engine, caller, response_id)
    async with engine.database.work() as work:
        await work.responses.delete(response_id)
    return DeletedResponse(id=response_id)


async def cancel_response(engine: Engine, caller: Caller, response_id: str) -> Wire:
    """Stop a background response; whoever makes it notices. One that has ended stays as it is.

    Raises:
        NotFound: as for `get_response`.
        Conflict: it was not asked for in the background.
    """
    row = await _owned(engine, caller, response_id)
    if not row.background:
        raise Conflict("Only a background response can be cancelled.")
    cancelled = {**msgspec.json.decode(row.response), "status": "cancelled"}
    text = msgspec.json.encode(cancelled).decode()
    async with engine.database.work() as work:
        stopped = await work.responses.finish(response_id, "cancelled", text)
    return cancelled if stopped else await get_response(engine, caller, response_id)


async def list_input_items(
    engine: Engine,
    caller: Caller,
    response_id: str,
    *,
    limit: int = 20,
    after: str | None = None,
    newest_first: bool = True,
) -> ItemList:
    """What a response answered, as items with ids.

    Raises:
        NotFound: as for `get_response`, or `after` is none of the items.
    """
    row = await _owned(engine, caller, response_id)
    items = list(_identified(response_id, input_items(msgspec.json.decode(row.request))))
    if newest_first:
        items.reverse()
    start = 0
    if after is not None:
        place = next((n for n, item in enumerate(items) if item["id"] == after), None)
        if place is None:
            raise NotFound(f"There is no input item '{after}'.", code="not_found")
        start = place + 1
    page = items[start : start + limit]
    return ItemList(
        data=page,
        first_id=page[0]["id"] if page else None,
        last_id=page[-1]["id"] if page else None,
        has_more=start + limit < len(items),
    )


def _identified(response_id: str, items: Iterable[Wire]) -> Iterable[Wire]:
    for number, item in enumerate(items):
        kind = item.get("type") or "message"
        shown = {"id": f"{kind[:3]}_{number}_{response_id}", "type": kind, **item}
        content = shown.get("content")
        if kind == "message" and isinstance(content, str):
            said = "output_text" if shown.get("role") == "assistant" else "input_text"
            shown["content"] = [{"type": said, "text": content}]
        yield shown
