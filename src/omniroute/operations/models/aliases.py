"""Names operators made up for models. Source: 02 §6."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.catalog.models import known_models
from omniroute.engine import Engine
from omniroute.errors import AmbiguousModel, Conflict, InvalidRequest, NotFound, ValidationFailed
from omniroute.routing.naming.resolve import AUTO, SingleModel, checked_name, resolve
from omniroute.routing.snapshot import Snapshot

NOT_MAPPED = "MODEL_NOT_MAPPED"
AMBIGUOUS = "MODEL_ALIAS_AMBIGUOUS"


class AliasInput(Struct, frozen=True, kw_only=True):
    """An alias and what it stands for: `provider/model`, or a bare model name.

    `alias` may be a pattern with `*` and `?`; of several that fit, the most specific one holds.
    """

    alias: Annotated[str, Meta(min_length=1, max_length=200)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]


class AliasSaved(Struct, frozen=True, kw_only=True):
    """What an alias now stands for."""

    model: str
    alias: str
    success: bool = True


class AliasMetadata(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of the model an alias stands for. `context_length` is tokens."""

    context_length: int | None
    custom: bool
    active: bool


class ResolvedAlias(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where requests for an alias go."""

    provider: str
    provider_alias: str
    model: str
    qualified_id: str
    target: str
    metadata: AliasMetadata
    source: str = "stored_alias"


async def set_alias(engine: Engine, caller: Caller, new: AliasInput) -> AliasSaved:
    """Let an alias stand for a model; it answers from the next request on.

    Raises:
        ValidationFailed: the alias could never be asked for, or its target does not exist.
    """
    alias, target = checked_name(new.alias), checked_name(new.model)
    async with engine.configuration.change(caller, "alias.updated", alias) as work:
        combos = {combo.name for combo in await work.combos.list()}
        problem = alias_problem(alias, target, combos, engine.snapshot)
        if problem is not None:
            raise ValidationFailed([problem])
        await work.model_names.set_alias(alias, target)
    return AliasSaved(model=target, alias=alias)


async def list_aliases(
    engine: Engine, caller: Caller, limit: int | None = None, offset: int = 0
) -> tuple[dict[str, str], int]:
    """A page of aliases with what they stand for, by name; and how many there are."""
    aliases = sorted(engine.snapshot.aliases.items())
    stop = None if limit is None else offset + limit
    return dict(aliases[offset:stop]), len(aliases)


async def resolved_alias(engine: Engine, caller: Caller, alias: str) -> ResolvedAlias:
    """Where requests for an alias go right now.

    Raises:
        InvalidRequest: no alias is named.
        NotFound: there is no such alias.
        Conflict: several providers serve what it stands for.
    """
    snapshot = engine.snapshot
    if not alias.strip():
        raise InvalidRequest("Name an alias: ?alias=fast", **_told(NOT_MAPPED))
    target = snapshot.aliases.get(alias)
    if target is None:
        raise NotFound(f"There is no alias '{alias}'.", **_told(NOT_MAPPED))
    try:
        found = resolve(target, snapshot)
    except AmbiguousModel as error:
        candidates = [f"{one}/{target}" for one in error.providers]
        raise Conflict(str(error), **_told(AMBIGUOUS, candidates=candidates)) from error
    if not isinstance(found, SingleModel):
        raise NotFound(f"'{target}' is no model of a provider any more.", **_told(NOT_MAPPED))
    prefix = snapshot.providers[found.provider].alias or found.provider
    windows = {row.id: row.context_tokens for row in known_models(found.provider)}
    return ResolvedAlias(
        provider=found.provider,
        provider_alias=prefix,
        model=found.model,
        qualified_id=f"{found.provider}/{found.model}",
        target=target,
        metadata=AliasMetadata(
            context_length=windows.get(found.model),
            custom=found.model in snapshot.custom_models.get(found.provider, {}),
            active=found.provider in snapshot.accounts,
        ),
    )


async def delete_alias(engine: Engine, caller: Caller, alias: str) -> None:
    """Forget an alias.

    Raises:
        InvalidRequest: no alias is named.
        NotFound: there is no such alias.
    """
    if not alias.strip():
        raise InvalidRequest("Name an alias: ?alias=fast", param="alias")
    async with engine.configuration.change(caller, "alias.deleted", alias) as work:
        if not await work.model_names.delete_alias(alias):
            raise NotFound(f"There is no alias '{alias}'.", **_told(NOT_MAPPED))


def _told(code: str, **more: Any) -> dict[str, Any]:
    """A machine code, also where the management API shows it."""
    return {"code": code, "extras": {"code": code, **more}}


def alias_problem(
    alias: str, target: str, combos: set[str], snapshot: Snapshot
) -> tuple[str, str] | None:
    """The field and what is wrong with it; None where an alias may be stored."""
    if "/" in alias:
        return "alias", "must not hold '/': names with a prefix go to a provider, node or combo"
    if alias == AUTO or alias in combos:
        return "alias", f"'{alias}' already names {'auto routing' if alias == AUTO else 'a combo'}"
    if target in combos:
        return "model", f"'{target}' is a combo; map names to combos at /api/model-combo-mappings"
    if "/" in target and snapshot.provider_named(target.split("/", 1)[0]) is None:
        return "model", f"no provider or node is called '{target.split('/', 1)[0]}'"
    return None
