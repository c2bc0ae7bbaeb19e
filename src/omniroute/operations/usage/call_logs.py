"""The call log: what was asked of the gateway, newest first. Source: 02 §9.1."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound, ValidationFailed
from omniroute.storage.call_logs import ANY_COMBO
from omniroute.storage.records.usage import CallFilter, CallRow

MOST_LINES = 200
"""Lines of the plain log."""

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]

CallLogT = TypeVar("CallLogT", bound="CallLog")

_YES = frozenset({"", "1", "true", "yes", "on"})


class CallQuery(Struct, frozen=True, kw_only=True):
    """Which calls are asked for. `status` is `ok`, `error` or a number; `combo` is a name, and
    says nothing but that there was one where it is empty or `true`."""

    status: str | None = None
    model: str | None = None
    provider: str | None = None
    account: str | None = None
    api_key: str | None = None
    combo: str | None = None
    search: str = ""
    limit: Limit = 200


class CallTokens(Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens of one call: all that were read and written, and what is in those. `compressed` is
    null: nothing was measured."""

    in_: int = field(name="in")
    out: int
    cache_read: int
    cache_write: int
    reasoning: int
    compressed: int | None = None


class CallLog(Struct, frozen=True, kw_only=True, rename="camel"):
    """One request. Times are ISO-8601 and milliseconds, cost is USD, null where no price is known.

    `status` is null where no upstream was asked, `outcome` says what came of it then: `refused`,
    or `completed` out of a cache. Bodies are kept where the setting `callLogPayloads` says so.
    """

    id: str
    timestamp: str
    method: str | None
    path: str | None
    status: int | None
    model: str | None
    requested_model: str
    provider: str | None
    account: str | None
    connection_id: str | None
    duration: int
    tokens: CallTokens
    cache_source: str | None
    request_type: str
    source_format: str | None
    target_format: str | None
    api_key_id: str | None
    api_key_name: str | None
    combo_name: str | None
    combo_step_id: str | None
    combo_execution_key: str | None
    error: str | None
    door: str
    outcome: str
    attempts: int
    cost: float | None
    usage_estimated: bool
    detail_state: Literal["none", "ready", "corrupt"] = "none"
    request_summary: None = None
    has_request_body: bool = False
    has_response_body: bool = False
    has_pipeline_details: bool = False


class CallDetail(CallLog, frozen=True, kw_only=True, rename="camel"):
    """One request with its bodies, where they are kept: JSON as such, anything else as text.
    `bodies_cut` says that they were longer than what is kept."""

    request_body: Any = None
    response_body: Any = None
    bodies_cut: bool = False
    pipeline_payloads: None = None


async def call_logs(engine: Engine, caller: Caller, query: CallQuery) -> tuple[CallLog, ...]:
    """The newest calls of a kind, newest first.

    Raises:
        ValidationFailed: `status` is neither `ok`, `error` nor a number.
    """
    rows = await _newest(engine, _filter(query), query.limit)
    async with engine.database.reading() as work:
        kept = await work.payloads.known([row.id for row in rows])
    return tuple(
        msgspec.structs.replace(
            _told(row, CallLog),
            detail_state="ready" if row.id in kept else "none",
            has_request_body=kept.get(row.id, (False, False))[0],
            has_response_body=kept.get(row.id, (False, False))[1],
        )
        for row in rows
    )


async def call_detail(engine: Engine, caller: Caller, request_id: str) -> CallDetail:
    """One call, by the id of its request.

    Raises:
        NotFound: no call with this id is recorded.
    """
    await engine.journal.flush()
    await engine.payloads.flush()
    async with engine.database.reading() as work:
        row = await work.calls.get(request_id)
        if row is None:
            raise NotFound(f"No call '{request_id}' is recorded.")
        told = _told(row, CallDetail)
        try:
            payload = await work.payloads.get(request_id)
        except ValueError:
            return msgspec.structs.replace(told, detail_state="corrupt")
    if payload is None:
        return told
    return msgspec.structs.replace(
        told,
        detail_state="ready",
        has_request_body=payload.request is not None,
        has_response_body=payload.response is not None,
        request_body=_shown(payload.request),
        response_body=_shown(payload.response),
        bodies_cut=payload.cut,
    )


def _shown(body: bytes | None) -> Any:
    """A body as JSON where it is JSON, else as text."""
    if body is None:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")


async def log_lines(engine: Engine, caller: Caller) -> tuple[str, ...]:
    """The newest calls as lines: time, model, provider, account, tokens in, tokens out, status."""
    return tuple(_line(row) for row in await _newest(engine, CallFilter(), MOST_LINES))


async def _newest(engine: Engine, wanted: CallFilter, limit: int) -> tuple[CallRow, ...]:
    await engine.journal.flush()
    async with engine.database.reading() as work:
        return await work.calls.newest(wanted, limit)


def _filter(query: CallQuery) -> CallFilter:
    success, status = None, None
    match query.status:
        case None | "":
            pass
        case "ok" | "error":
            success = query.status == "ok"
        case number if number.isascii() and number.isdecimal() and len(number) <= 3:
            status = int(number)
        case _:
            raise ValidationFailed([("status", "must be 'ok', 'error' or an HTTP status")])
    combo = query.combo
    if combo is not None and combo.lower() in _YES:
        combo = ANY_COMBO
    return CallFilter(
        success=success,
        status=status,
        model=query.model or None,
        provider=query.provider or None,
        account=query.account or None,
        api_key=query.api_key or None,
        combo=combo,
        search=query.search,
    )


_SAME = frozenset(CallLog.__struct_fields__) & frozenset(CallRow.__struct_fields__)


def _told(row: CallRow, kind: type[CallLogT]) -> CallLogT:
    same = {name: value for name, value in asdict(row).items() if name in _SAME}
    return kind(
        **same,
        timestamp=iso(row.timestamp_ms),
        duration=row.duration_ms,
        tokens=CallTokens(
            in_=row.tokens_in,
            out=row.tokens_out,
            cache_read=row.tokens_cache_read,
            cache_write=row.tokens_cache_creation,
            reasoning=row.tokens_reasoning,
        ),
        request_type="chat",
        cost=None if row.cost_micro_usd is None else row.cost_micro_usd / 1e6,
        usage_estimated=row.estimated,
    )


def _line(row: CallRow) -> str:
    cells = (
        iso(row.timestamp_ms),
        row.model or row.requested_model,
        (row.provider or "-").upper(),
        row.account or "-",
        row.tokens_in,
        row.tokens_out,
        row.outcome if row.status is None else row.status,
    )
    # Names come from outside: one must not look like two cells, or two lines.
    return " | ".join(" ".join(str(cell).split()).replace("|", "/") for cell in cells)
