"""What models are called: aliases, and mappings to combos, as routes."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, patch, post, put
from omniroute.operations import aliases, mappings
from omniroute.operations.aliases import ResolvedAlias
from omniroute.operations.mappings import MappingView


class Aliases(Struct, frozen=True):
    """All aliases, or where one of them goes."""

    aliases: dict[str, str] | UnsetType = UNSET
    alias: str | UnsetType = UNSET
    resolved: ResolvedAlias | UnsetType = UNSET


class Mappings(Struct, frozen=True):
    """All mappings."""

    mappings: list[MappingView]


class OneMapping(Struct, frozen=True):
    """One mapping."""

    mapping: MappingView


class Done(Struct, frozen=True):
    """It was done."""

    success: bool = True


Named = Annotated[str | None, QueryParameter()]
Wanted = Annotated[str, QueryParameter()]


@get("/api/models/alias", tags=["Models"], operation_id="list_aliases")
async def list_aliases(engine: TheEngine, operator: Operator, alias: Named = None) -> Aliases:
    """All aliases; with `alias`, where requests for that one go."""
    if alias is None:
        return Aliases(aliases=await aliases.all_aliases(engine, operator))
    return Aliases(alias=alias, resolved=await aliases.resolved_alias(engine, operator, alias))


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
async def list_mappings(engine: TheEngine, operator: Operator) -> Mappings:
    """All patterns that stand for combos, in the order in which they are tried."""
    return Mappings(await mappings.list_mappings(engine, operator))


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
