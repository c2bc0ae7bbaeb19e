"""The process itself as routes: whether it has begun, what it runs on, how it ends. 02 §27."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from litestar import MediaType, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import QueryParameter
from msgspec import Struct

from omniroute.http.dependencies import Operator, TheEngine, Visitor
from omniroute.http.problems import get, post
from omniroute.operations.system import lifecycle, system_info
from omniroute.operations.system.lifecycle import Initialized
from omniroute.operations.system.system_info import SystemInfo


class Restarting(Struct, frozen=True):
    """The process ends and begins again."""

    status: Literal["restarting"] = "restarting"


class ShuttingDown(Struct, frozen=True):
    """The process ends."""

    success: bool
    message: str


Form = Annotated[Literal["json", "text"], QueryParameter(name="format")]


@get("/api/init", tags=["System"], operation_id="initialized")
async def initialized(engine: TheEngine, visitor: Visitor) -> Initialized:
    """Whether the gateway is ready for work."""
    return await lifecycle.initialized(engine, visitor)


@post("/api/restart", status_code=200, tags=["System"], operation_id="restart")
async def restart(engine: TheEngine, operator: Operator) -> Restarting:
    """End the process in a moment, after what it is doing; whatever supervises it starts it
    again, or it does so itself with OMNIROUTE_SELF_RESTART."""
    await lifecycle.restart(engine, operator)
    return Restarting()


@post("/api/shutdown", status_code=200, tags=["System"], operation_id="shutdown")
async def shutdown(engine: TheEngine, operator: Operator) -> ShuttingDown:
    """Take no new requests, let running ones finish, and end the process."""
    await lifecycle.shut_down(engine, operator)
    return ShuttingDown(success=True, message="The gateway stops when running requests are done.")


@dataclass
class SystemInfoOperation(Operation):
    """Documents that the answer is also there as text."""

    def __post_init__(self) -> None:
        found = (self.responses or {}).get("200")
        if isinstance(found, OpenAPIResponse) and found.content is not None:
            found.content["text/plain"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))


@get(
    "/api/system-info",
    tags=["System"],
    operation_id="system_info",
    operation_class=SystemInfoOperation,
)
async def get_system_info(
    engine: TheEngine, operator: Operator, form: Form = "json"
) -> Response[SystemInfo]:
    """What the gateway runs on; with `format=text` as lines for a report."""
    info = await system_info.system_info(engine, operator)
    if form == "text":
        text: Any = system_info.as_text(info)
        return Response(text, media_type=MediaType.TEXT)
    return Response(info)


SYSTEM: tuple[HTTPRouteHandler, ...] = (initialized, restart, shutdown, get_system_info)
"""Every route about the process."""
