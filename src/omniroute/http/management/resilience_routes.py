"""Resilience as routes: settings, breakers, locked models, limits of accounts. Source: 02 §13."""

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.response import Redirect
from msgspec import UNSET, Struct, UnsetType

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.inputs import decode_input
from omniroute.operations.routing import resilience


class ResetInput(Struct, frozen=True):
    """Which breaker to close; all of them without a provider."""

    provider: str | None = None


class Reset(Struct, frozen=True, rename="camel"):
    """How many breakers were closed."""

    reset_count: int
    message: str
    ok: bool = True


class HealthReset(Struct, frozen=True, rename="camel"):
    """How many breakers were closed."""

    reset_count: int
    message: str
    success: bool = True


class Protected(Struct, frozen=True, rename="camel"):
    """What holds for an account now."""

    connection_id: str
    enabled: bool
    success: bool = True


class Locks(Struct, frozen=True):
    """Models of accounts that are left alone."""

    items: list[resilience.LockLine]


class Unlocked(Struct, frozen=True, rename="camel"):
    """Whether lockouts were lifted."""

    ok: bool = True
    removed: bool | UnsetType = UNSET
    cleared_all: bool | UnsetType = UNSET


@get("/api/resilience", tags=["Resilience"], operation_id="get_resilience")
async def get_resilience(engine: TheEngine, operator: Operator) -> dict[str, Any]:
    """Thresholds, pauses and limits in force."""
    return await resilience.get_resilience(engine, operator)


@patch("/api/resilience", tags=["Resilience"], operation_id="change_resilience")
async def change_resilience(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> dict[str, Any]:
    """Change what is named, keep the rest. `preset` is aggressive, balanced or conservative."""
    return await resilience.change_resilience(engine, operator, data)


@put("/api/resilience", tags=["Resilience"], operation_id="put_resilience")
async def put_resilience(
    engine: TheEngine, operator: Operator, data: JSONBody[dict[str, Any]]
) -> dict[str, Any]:
    """The same as PATCH, for clients that say PUT."""
    return await resilience.change_resilience(engine, operator, data)


@post("/api/resilience/reset", status_code=200, tags=["Resilience"], operation_id="reset_breakers")
async def reset_breakers(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> Reset:
    """Close every breaker, or with `{"provider": ...}` one."""
    body = await request.body()
    wanted = decode_input(ResetInput, body) if body.strip() else ResetInput()
    count = await resilience.reset_breakers(engine, operator, wanted.provider)
    return Reset(count, _told(count))


@delete("/api/monitoring/health", status_code=200, tags=["Health"], operation_id="reset_health")
async def reset_health(engine: TheEngine, operator: Operator) -> HealthReset:
    """Close every breaker."""
    count = await resilience.reset_breakers(engine, operator)
    return HealthReset(count, _told(count))


@get("/api/resilience/model-cooldowns", tags=["Resilience"], operation_id="locked_models")
async def locked_models(engine: TheEngine, operator: Operator) -> Locks:
    """Models of accounts that are left alone, those with the longest rest first."""
    return Locks(await resilience.locked_models(engine, operator))


@delete(
    "/api/resilience/model-cooldowns",
    status_code=200,
    tags=["Resilience"],
    operation_id="unlock_models",
)
async def unlock_models(
    request: Request[Any, Any, Any], engine: TheEngine, operator: Operator
) -> Unlocked:
    """Use a model again before its time: `{"provider", "model"}`, or `{"all": true}`."""
    which = decode_input(resilience.Unlock, await request.body())
    removed = await resilience.unlock_models(engine, operator, which)
    return Unlocked(cleared_all=True) if which.all else Unlocked(removed=removed)


@get("/api/rate-limits", tags=["Resilience"], operation_id="request_limits")
async def request_limits(engine: TheEngine, operator: Operator) -> resilience.LimitsReport:
    """Every account's line: who waits, who is served, until when it rests."""
    return await resilience.request_limits(engine, operator)


@post("/api/rate-limits", status_code=200, tags=["Resilience"], operation_id="protect_account")
async def protect_account(
    engine: TheEngine, operator: Operator, data: JSONBody[resilience.Protection]
) -> Protected:
    """Switch the request queue of an account on or off."""
    await resilience.protect(engine, operator, data)
    return Protected(data.connection_id, data.enabled)


@get("/api/rate-limit", tags=["Resilience"], operation_id="queue_settings")
async def queue_settings(engine: TheEngine, operator: Operator) -> dict[str, Any]:
    """The limits every account's queue starts from."""
    return await resilience.queue_settings(engine, operator)


@post("/api/rate-limit", status_code=308, include_in_schema=False)
async def moved(operator: Operator) -> Redirect:  # noqa: ARG001 - asking admits the request
    """An older address of the same."""
    return Redirect("/api/rate-limits", status_code=308)


def _told(count: int) -> str:
    return f"{count} circuit breaker{'' if count == 1 else 's'} reset"


RESILIENCE: tuple[HTTPRouteHandler, ...] = (
    get_resilience,
    change_resilience,
    put_resilience,
    reset_breakers,
    reset_health,
    locked_models,
    unlock_models,
    request_limits,
    protect_account,
    queue_settings,
    moved,
)
"""Every route about resilience."""
