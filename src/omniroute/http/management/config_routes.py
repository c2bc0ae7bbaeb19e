"""The configuration in one file, as routes: plan, apply and export."""

from typing import Annotated, Any

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from omniroute.errors import ValidationFailed
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get, post
from omniroute.operations.configuration import config_files
from omniroute.operations.configuration.config_files import Applied
from omniroute.operations.configuration.configuration_file.deciding import Plan
from omniroute.operations.configuration.configuration_file.document import DEFAULT_NAME

MEDIA_TYPE = "application/toml"

Prune = Annotated[bool, QueryParameter(description="Delete also what never came from a file.")]
Name = Annotated[str, QueryParameter(max_length=200, description="What errors call the file.")]
AnyRequest = Request[Any, Any, Any]


@post(
    "/api/config/plan", status_code=200, tags=["Configuration"], operation_id="plan_configuration"
)
async def plan(
    request: AnyRequest,
    engine: TheEngine,
    operator: Operator,
    prune: Prune = False,
    name: Name = DEFAULT_NAME,
) -> Plan:
    """What applying a file would do. The body is the file, as TOML; nothing is changed."""
    text = await _text(request)
    return await config_files.plan_configuration(engine, operator, text, name=name, prune=prune)


@post(
    "/api/config/apply", status_code=200, tags=["Configuration"], operation_id="apply_configuration"
)
async def apply(
    request: AnyRequest,
    engine: TheEngine,
    operator: Operator,
    prune: Prune = False,
    name: Name = DEFAULT_NAME,
) -> Applied:
    """Make the configuration what a file says, all of it or nothing. The body is the file."""
    text = await _text(request)
    return await config_files.apply_configuration(engine, operator, text, name=name, prune=prune)


@get(
    "/api/config/export",
    tags=["Configuration"],
    operation_id="export_configuration",
    media_type=MEDIA_TYPE,
)
async def export(engine: TheEngine, operator: Operator) -> Response[str]:
    """Everything as a file that makes an empty gateway the same. Secrets are references."""
    found = await config_files.export_configuration(engine, operator)
    return Response(found.text, media_type=MEDIA_TYPE)


async def _text(request: AnyRequest) -> str:
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise ValidationFailed([("body", "must be TOML, which is UTF-8 text")]) from error


CONFIG: tuple[HTTPRouteHandler, ...] = (plan, apply, export)
"""Every route about configuration files."""
