"""What models are called: aliases, and mappings to combos, as routes."""

from typing import Annotated

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.done import Done
from omniroute.http.paging import Limit, Offset
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations.combos import mappings
from omniroute.operations.combos.mappings import MappingView
from omniroute.operations.models import aliases
from omniroute.operations.models.aliases import ResolvedAlias
from omniroute.operations.models.model_catalog import (
    Catalog,
    PlainModel,
    catalog_version,
    model_catalog,
    plain_models,
)


class Aliases(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of aliases, or where one of them goes."""

    aliases: dict[str, str] | UnsetType = UNSET
    total: int | UnsetType = UNSET
    alias: str | UnsetType = UNSET
    resolved: ResolvedAlias | UnsetType = UNSET
    catalog_version: str


class PlainModels(Struct, frozen=True):
    """Models, and whether they can be asked."""

    models: list[PlainModel]


class Mappings(Struct, frozen=True):
    """A page of mappings, and how many there are in all."""

    mappings: list[MappingView]
    total: int


class OneMapping(Struct, frozen=True):
    """One mapping."""

    mapping: MappingView


CATALOG_VERSION = "X-Model-Catalog-Version"
ALIAS_RESOLVED = "X-Model-Alias-Resolved"

Everything = Annotated[bool, QueryParameter(name="all")]
Named = Annotated[str | None, QueryParameter()]
Wanted = Annotated[str, QueryParameter()]


@get("/api/models/alias", tags=["Models"], operation_id="list_aliases")
async def list_aliases(
    engine: TheEngine,
    operator: Operator,
    alias: Named = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response[Aliases]:
    """A page of aliases, all of them without `limit`; with `alias`, where requests for that one
    go."""
    version = catalog_version(engine)
    headers = {CATALOG_VERSION: version}
    if alias is None:
        page, total = await aliases.list_aliases(engine, operator, limit, offset)
        shown = Aliases(aliases=page, total=total, catalog_version=version)
        return Response(shown, headers=headers)
    found = await aliases.resolved_alias(engine, operator, alias)
    headers[ALIAS_RESOLVED] = found.qualified_id
    return Response(Aliases(alias=alias, resolved=found, catalog_version=version), headers=headers)


@get("/api/models/catalog", tags=["Models"], operation_id="model_catalog")
async def get_catalog(engine: TheEngine, operator: Operator) -> Response[Catalog]:
    """Every provider's models, whether it has an account or not."""
    found = await model_catalog(engine, operator)
    return Response(found, headers={CATALOG_VERSION: found.catalog_version})


@get("/api/models", tags=["Models"], operation_id="list_plain_models")
async def list_plain_models(
    engine: TheEngine, operator: Operator, everything: Everything = False
) -> Response[PlainModels]:
    """Models that could be asked right now; with `all=true` also those that could not."""
    found = await plain_models(engine, operator, everything=everything)
    return Response(PlainModels(found), headers={CATALOG_VERSION: catalog_version(engine)})


@post("/api/models/alias", status_code=200, tags=["Models"], operation_id="set_alias")
async def set_alias(
    engine: TheEngine, operator: Operator, data: JSONBody[aliases.AliasInput]
) -> aliases.AliasSaved:
    """Let a name, or a pattern of names, stand for a model."""
    return await aliases.set_alias(engine, operator, data)


@put("/api/models/alias", tags=["Models"], operation_id="replace_alias")
async def replace_alias(
    engine: TheEngine, operator: Operator, data: JSONBody[aliases.AliasInput]
) -> aliases.AliasSaved:
    """The same as POST, for clients that say PUT."""
    return await aliases.set_alias(engine, operator, data)


@delete("/api/models/alias", status_code=200, tags=["Models"], operation_id="delete_alias")
async def delete_alias(engine: TheEngine, operator: Operator, alias: Wanted) -> Done:
    """Forget an alias."""
    await aliases.delete_alias(engine, operator, alias)
    return Done()


@get("/api/model-combo-mappings", tags=["Models"], operation_id="list_mappings")
async def list_mappings(
    engine: TheEngine, operator: Operator, limit: Limit = None, offset: Offset = 0
) -> Mappings:
    """A page of the patterns that stand for combos, in the order in which they are tried; all of
    them without `limit`."""
    return Mappings(*await mappings.list_mappings(engine, operator, limit, offset))


@post("/api/model-combo-mappings", tags=["Models"], operation_id="create_mapping")
async def create_mapping(
    engine: TheEngine, operator: Operator, data: JSONBody[mappings.MappingInput]
) -> OneMapping:
    """Send every model name that fits a pattern to a combo."""
    return OneMapping(await mappings.create_mapping(engine, operator, data))


@get("/api/model-combo-mappings/{mapping_id:str}", tags=["Models"], operation_id="get_mapping")
async def get_mapping(
    engine: TheEngine, operator: Operator, mapping_id: FromPath[str]
) -> OneMapping:
    """One mapping."""
    return OneMapping(await mappings.get_mapping(engine, operator, mapping_id))


@put("/api/model-combo-mappings/{mapping_id:str}", tags=["Models"], operation_id="change_mapping")
async def change_mapping(
    engine: TheEngine,
    operator: Operator,
    mapping_id: FromPath[str],
    data: JSONBody[mappings.MappingChange],
) -> OneMapping:
    """Change what is named of a mapping; the rest stays."""
    return OneMapping(await mappings.change_mapping(engine, operator, mapping_id, data))


@patch("/api/model-combo-mappings/{mapping_id:str}", tags=["Models"], operation_id="patch_mapping")
async def patch_mapping(
    engine: TheEngine,
    operator: Operator,
    mapping_id: FromPath[str],
    data: JSONBody[mappings.MappingChange],
) -> OneMapping:
    """The same as PUT, for clients that say PATCH."""
    return OneMapping(await mappings.change_mapping(engine, operator, mapping_id, data))


@delete(
    "/api/model-combo-mappings/{mapping_id:str}",
    status_code=200,
    tags=["Models"],
    operation_id="delete_mapping",
)
async def delete_mapping(engine: TheEngine, operator: Operator, mapping_id: FromPath[str]) -> Done:
    """Delete a mapping."""
    await mappings.delete_mapping(engine, operator, mapping_id)
    return Done()


MODEL_NAMES: tuple[HTTPRouteHandler, ...] = (
    list_aliases,
    get_catalog,
    list_plain_models,
    set_alias,
    replace_alias,
    delete_alias,
    list_mappings,
    create_mapping,
    get_mapping,
    change_mapping,
    patch_mapping,
    delete_mapping,
)
"""Every route about names of models."""
