"""What was used, the call log and how long requests take, as routes (02 §9.1, §12)."""

from typing import Annotated, Literal

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.usage import call_logs, telemetry, usage
from omniroute.operations.usage.call_logs import CallDetail, CallLog, CallQuery, Limit
from omniroute.operations.usage.telemetry import DEFAULT_WINDOW_MS, TelemetrySummary, WindowMs
from omniroute.operations.usage.usage import Period, UsageHistory

OfPeriod = Annotated[Period, QueryParameter()]
Wanted = Annotated[str | None, QueryParameter()]
WantedKey = Annotated[str | None, QueryParameter(name="apiKey")]
Searched = Annotated[str, QueryParameter()]
AtMost = Annotated[Limit, QueryParameter(ge=1, le=1_000)]
Window = Annotated[WindowMs, QueryParameter(name="windowMs", ge=1, le=86_400_000)]
Format = Annotated[Literal["text", "json"], QueryParameter(name="format")]


@get("/api/usage/history", tags=["Usage"], operation_id="usage_history")
async def get_history(
    engine: TheEngine, operator: Operator, period: OfPeriod = "all"
) -> UsageHistory:
    """What was used and what it cost: in all, by provider, model, account and key."""
    return await usage.usage_history(engine, operator, period)


@get("/api/usage/logs", tags=["Usage"], operation_id="usage_logs")
async def get_lines(engine: TheEngine, operator: Operator) -> tuple[str, ...]:
    """The newest 200 calls, one a line."""
    return await call_logs.log_lines(engine, operator)


@get("/api/usage/request-logs", tags=["Usage"], operation_id="usage_request_logs")
async def get_request_logs(
    engine: TheEngine, operator: Operator, form: Format = "text"
) -> tuple[str | CallLog, ...]:
    """The newest 200 calls, as lines; with `format=json` as objects."""
    if form == "json":
        return await call_logs.call_logs(engine, operator, CallQuery())
    return await call_logs.log_lines(engine, operator)


@get("/api/usage/call-logs", tags=["Usage"], operation_id="list_call_logs")
async def list_call_logs(
    engine: TheEngine,
    operator: Operator,
    status: Wanted = None,
    model: Wanted = None,
    provider: Wanted = None,
    account: Wanted = None,
    api_key: WantedKey = None,
    combo: Wanted = None,
    search: Searched = "",
    limit: AtMost = 200,
) -> tuple[CallLog, ...]:
    """The newest calls, of one kind where that is asked: by outcome, model, provider, account, key
    or combo, or with a text anywhere in them."""
    query = CallQuery(
        status=status,
        model=model,
        provider=provider,
        account=account,
        api_key=api_key,
        combo=combo,
        search=search,
        limit=limit,
    )
    return await call_logs.call_logs(engine, operator, query)


@get("/api/usage/call-logs/{request_id:str}", tags=["Usage"], operation_id="get_call_log")
async def get_call_log(
    engine: TheEngine, operator: Operator, request_id: FromPath[str]
) -> CallDetail:
    """One call, by the id from its `X-Request-Id` header."""
    return await call_logs.call_detail(engine, operator, request_id)


@get("/api/telemetry/summary", tags=["Usage"], operation_id="telemetry_summary")
async def get_telemetry(
    engine: TheEngine, operator: Operator, window_ms: Window = DEFAULT_WINDOW_MS
) -> TelemetrySummary:
    """How long the newest requests took: in all, by provider, by phase."""
    return await telemetry.telemetry_summary(engine, operator, window_ms)


USAGE: tuple[HTTPRouteHandler, ...] = (
    get_history,
    get_lines,
    get_request_logs,
    list_call_logs,
    get_call_log,
    get_telemetry,
)
"""Every route about usage, calls and how long they take."""
