"""Models operators add to providers, and what is done otherwise for single ones. 02 §4.11."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict, replace

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest, NotFound, ValidationFailed
from omniroute.operations.access.masking import masked_headers, unmasked_headers
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import (
    ApiFormat,
    Capability,
    Compat,
    CustomModel,
    ModelCompat,
    Protocol,
)

MOST_HEADERS = 16
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding",
     "te", "trailer", "upgrade"}
)  # fmt: skip

ProviderName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=120)]
ModelId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=240)]
Headers: TypeAlias = dict[str, Annotated[str, Meta(max_length=4_096)]]


class ProtocolInput(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is done otherwise for clients of one protocol."""

    normalize_tool_call_id: bool | UnsetType = UNSET
    preserve_openai_developer_role: bool | UnsetType | None = field(
        default=UNSET, name="preserveOpenAIDeveloperRole"
    )
    upstream_headers: Headers | UnsetType | None = UNSET


class ModelChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model to add or change. `provider` is an id or prefix; `api_format` what it speaks."""

    provider: ProviderName
    model_id: ModelId
    model_name: Annotated[str, Meta(max_length=240)] | UnsetType = UNSET
    source: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    api_format: ApiFormat | UnsetType = UNSET
    supported_endpoints: (
        Annotated[tuple[Capability, ...], Meta(min_length=1, max_length=8)] | UnsetType
    ) = UNSET
    normalize_tool_call_id: bool | UnsetType = UNSET
    preserve_openai_developer_role: bool | UnsetType | None = field(
        default=UNSET, name="preserveOpenAIDeveloperRole"
    )
    upstream_headers: Headers | UnsetType | None = UNSET
    compat_by_protocol: dict[Protocol, ProtocolInput] | UnsetType = UNSET


class Hiding(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which models to hide or to show again."""

    is_hidden: bool | UnsetType = UNSET
    model_ids: Annotated[tuple[ModelId, ...], Meta(max_length=1_000)] = ()


class CustomModelView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model that was added."""

    id: str
    name: str
    provider: str
    api_format: ApiFormat
    supported_endpoints: tuple[Capability, ...]
    is_hidden: bool
    normalize_tool_call_id: bool | UnsetType = UNSET
    preserve_openai_developer_role: bool | UnsetType = field(
        default=UNSET, name="preserveOpenAIDeveloperRole"
    )
    upstream_headers: dict[str, str] | UnsetType = UNSET
    compat_by_protocol: dict[Protocol, Compat] | UnsetType = UNSET
    source: str = "manual"


class AliasChanges(Struct, frozen=True, kw_only=True):
    """Aliases that went with their models, or came back with them."""

    removed: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()


class CustomModels(Struct, frozen=True, kw_only=True, rename="camel"):
    """Models that were added: of one provider, or by provider; and what is done otherwise."""

    models: list[CustomModelView] | dict[str, list[CustomModelView]]
    model_compat_overrides: list[ModelCompat]


class ModelChanged(Struct, frozen=True, kw_only=True, rename="camel"):
    """The model as it is now, or what is done otherwise for one that nobody added."""

    model: CustomModelView | UnsetType = UNSET
    ok: bool | UnsetType = UNSET
    model_compat_overrides: list[ModelCompat] | UnsetType = UNSET


class Hidden(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many models were hidden or shown, and what that did to their aliases."""

    ok: bool = True
    updated: int
    alias_changes: AliasChanges
    models: list[CustomModelView]
    model_compat_overrides: list[ModelCompat]


class Removed(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was removed: one model, or all of a provider with what its accounts had listed."""

    alias_changes: AliasChanges
    removed: bool | UnsetType = UNSET
    cleared: bool | UnsetType = UNSET
    synced_available_model_lists_removed: int | UnsetType = UNSET


async def list_custom_models(engine: Engine, caller: Caller, provider: str | None) -> CustomModels:
    """The models that were added, and what is done otherwise for single models.

    Raises:
        ValidationFailed: there is no such provider.
    """
    snapshot = engine.snapshot
    wanted = None if provider is None else _provider(provider, snapshot)
    overrides = [_masked(row) for row in snapshot.compat.values() if wanted in (None, row.provider)]
    if wanted is not None:
        return CustomModels(models=_added(snapshot, wanted), model_compat_overrides=overrides)
    return CustomModels(
        models={one: _added(snapshot, one) for one in snapshot.custom_models},
        model_compat_overrides=overrides,
    )


async def add_custom_model(engine: Engine, caller: Caller, new: ModelChange) -> ModelChanged:
    """Add a model to a provider, or replace the one with its id.

    Raises:
        ValidationFailed: there is no such provider, or a header cannot be sent.
    """
    provider, model_id = _named(new, engine.snapshot)
    fresh = CustomModel(provider=provider, id=model_id)
    async with engine.configuration.change(
        caller, "model.updated", f"{provider}/{model_id}"
    ) as work:
        await work.model_names.save_custom_model(changed_model(fresh, new))
        await work.model_names.save_compat(
            changed_compat(_compat_of(engine.snapshot, provider, new), new)
        )
    return ModelChanged(model=_view(engine.snapshot, provider, model_id))


async def change_custom_model(engine: Engine, caller: Caller, new: ModelChange) -> ModelChanged:
    """Change what is named of a model that was added; of any other, what is done otherwise for it.

    Raises:
        ValidationFailed: there is no such provider, or a header cannot be sent.
        NotFound: nobody added the model, and more than compatibility is named.
    """
    provider, model_id = _named(new, engine.snapshot)
    old = engine.snapshot.custom_models.get(provider, {}).get(model_id)
    if old is None and any(getattr(new, name) is not UNSET for name in _MODEL_FIELDS):
        raise NotFound(
            f"Nobody added a model '{model_id}' to '{new.provider}'. POST adds it; for a model "
            "the provider lists itself, only compatibility can be set."
        )
    async with engine.configuration.change(
        caller, "model.updated", f"{provider}/{model_id}"
    ) as work:
        if old is not None:
            await work.model_names.save_custom_model(changed_model(old, new))
        await work.model_names.save_compat(
            changed_compat(_compat_of(engine.snapshot, provider, new), new)
        )
    if old is not None:
        return ModelChanged(model=_view(engine.snapshot, provider, model_id))
    return ModelChanged(ok=True, model_compat_overrides=_overrides(engine.snapshot, provider))


async def hide_models(
    engine: Engine, caller: Caller, provider: str, model_ids: Iterable[str], change: Hiding
) -> Hidden:
    """Leave models out of lists, or list them again. Their aliases go and come back with them.

    Args:
        model_ids: beside those in `change`.

    Raises:
        InvalidRequest: no model is named, or not what to do with it.
        ValidationFailed: there is no such provider.
    """
    named = [one.strip() for one in (*model_ids, *change.model_ids) if one.strip()]
    if change.is_hidden is UNSET or not named or not provider.strip():
        raise InvalidRequest(
            "'provider', 'isHidden' and at least one model ('modelId' or 'modelIds') are required.",
            extras={"type": "validation_error"},
        )
    owner, snapshot = _provider(provider, engine.snapshot), engine.snapshot
    removed: list[str] = []
    assigned: list[str] = []
    updated = 0
    async with engine.configuration.change(
        caller, "model.hidden" if change.is_hidden else "model.shown", owner
    ) as work:
        aliases = await work.model_names.aliases()
        for model in dict.fromkeys(named):
            old = snapshot.compat.get((owner, model)) or ModelCompat(provider=owner, id=model)
            if old.is_hidden is change.is_hidden:
                continue
            updated += 1
            if change.is_hidden:
                gone = _aliases_of(owner, model, aliases, snapshot)
                removed += gone
                await _forget(work, gone)
                new = replace(old, is_hidden=True, aliases=tuple(gone))
            else:
                back = [one for one in old.aliases if one not in aliases]
                assigned += back
                for alias in back:
                    await work.model_names.set_alias(alias, f"{owner}/{model}")
                new = replace(old, is_hidden=False, aliases=())
            await work.model_names.save_compat(new)
    return Hidden(
        updated=updated,
        alias_changes=AliasChanges(removed=tuple(removed), assigned=tuple(assigned)),
        models=_added(engine.snapshot, owner),
        model_compat_overrides=_overrides(engine.snapshot, owner),
    )


async def delete_custom_model(
    engine: Engine, caller: Caller, provider: str, model_id: str | None, *, everything: bool = False
) -> Removed:
    """Remove a model that was added, or all of a provider, with the aliases that mean them.

    Args:
        everything: also forget the lists the provider's accounts got from their upstreams.

    Raises:
        InvalidRequest: neither a model is named nor `everything` wanted.
        ValidationFailed: there is no such provider.
        NotFound: the model was not added by hand.
    """
    owner, snapshot = _provider(provider, engine.snapshot), engine.snapshot
    if not everything and not (model_id or "").strip():
        raise InvalidRequest(
            "Name a model: ?provider=...&model=..., or all of them with &all=true.",
            extras={"type": "validation_error"},
        )
    added = snapshot.custom_models.get(owner, {})
    models = list(added) if everything else [str(model_id).strip()]
    if not everything and models[0] not in added:
        raise NotFound(f"Nobody added a model '{model_id}' to '{provider}'.")
    lists = 0
    async with engine.configuration.change(
        caller, "model.deleted", f"{owner}/{'*' if everything else models[0]}"
    ) as work:
        gone = []
        aliases = await work.model_names.aliases()
        for model in models:
            gone += _aliases_of(owner, model, aliases, snapshot)
            await work.model_names.delete_custom_model(owner, model)
            await work.model_names.save_compat(ModelCompat(provider=owner, id=model))
        await _forget(work, gone)
        if everything:
            lists = await _forget_lists(work, owner)
    changes = AliasChanges(removed=tuple(gone))
    if not everything:
        return Removed(alias_changes=changes, removed=True)
    return Removed(alias_changes=changes, cleared=True, synced_available_model_lists_removed=lists)


async def _forget_lists(work: Work, provider: str) -> int:
    """Let accounts ask their upstream again what it serves; how many had its answer."""
    count = 0
    for account in await work.connections.of_provider(provider):
        if "models" in account.options:
            options = {name: value for name, value in account.options.items() if name != "models"}
            await work.connections.save(replace(account, options=options))
            count += 1
    return count


async def _forget(work: Work, aliases: Iterable[str]) -> None:
    for alias in aliases:
        await work.model_names.delete_alias(alias)


def _aliases_of(
    provider: str, model: str, aliases: Mapping[str, str], snapshot: Snapshot
) -> list[str]:
    """The aliases that stand for a model of a provider."""
    found = []
    for alias, target in aliases.items():
        prefix, _, rest = target.partition("/")
        if rest == model and snapshot.provider_named(prefix) == provider:
            found.append(alias)
    return found


def _named(new: ModelChange, snapshot: Snapshot) -> tuple[str, str]:
    model_id = new.model_id.strip()
    if not model_id:
        raise ValidationFailed([("modelId", "must not be blank")])
    return _provider(new.provider, snapshot), model_id


def changed_model(old: CustomModel, new: ModelChange) -> CustomModel:
    """A model with what is said of it."""
    said: dict[str, Any] = {}
    if new.model_name is not UNSET:
        said["name"] = new.model_name.strip()
    if new.api_format is not UNSET:
        said["api_format"] = new.api_format
    if new.supported_endpoints is not UNSET:
        said["supported_endpoints"] = tuple(dict.fromkeys(new.supported_endpoints))
    return replace(old, **said)


def _compat_of(snapshot: Snapshot, provider: str, new: ModelChange) -> ModelCompat:
    """What is done otherwise for a model so far."""
    model_id = new.model_id.strip()
    return snapshot.compat.get((provider, model_id)) or ModelCompat(provider=provider, id=model_id)


def changed_compat(old: ModelCompat, new: ModelChange) -> ModelCompat:
    """The same with what is said now.

    Raises:
        ValidationFailed: a header cannot be sent.
    """
    said = _said(new, "", old)
    if new.compat_by_protocol is not UNSET:
        both = dict(old.compat_by_protocol)
        for protocol, change in new.compat_by_protocol.items():
            where = f"compatByProtocol.{protocol}."
            before = both.get(protocol, Compat())
            both[protocol] = replace(before, **_said(change, where, before))
        said["compat_by_protocol"] = {name: row for name, row in both.items() if row != Compat()}
    return replace(old, **said)


def _said(change: ModelChange | ProtocolInput, where: str, old: Compat) -> dict[str, Any]:
    said = {
        name: getattr(change, name)
        for name in Compat.__struct_fields__
        if getattr(change, name) is not UNSET
    }
    if said.get("upstream_headers") is not None:
        written = unmasked_headers(said["upstream_headers"], old.upstream_headers or {})
        said["upstream_headers"] = _headers(written, f"{where}upstreamHeaders")
    return said


def _headers(given: Mapping[str, str], where: str) -> dict[str, str] | None:
    """Headers that can be sent; none at all is None.

    Raises:
        ValidationFailed: there are too many, or one cannot be sent or is the gateway's to write.
    """
    if len(given) > MOST_HEADERS:
        raise ValidationFailed([(where, f"holds more than {MOST_HEADERS} headers")])
    for name, value in given.items():
        at = f"{where}.{name}"
        if not HEADER_NAME.fullmatch(name):
            raise ValidationFailed([(at, "is not the name of a header")])
        if name.lower() in OWN_HEADERS:
            raise ValidationFailed([(at, "is written by the gateway")])
        if any(char in value for char in "\r\n\0") or not value.isascii():
            raise ValidationFailed([(at, "must be one line of ASCII text")])
    return dict(given) or None


def _provider(named: str, snapshot: Snapshot) -> str:
    found = snapshot.provider_named(named.strip())
    if found is None:
        hint = did_you_mean(named, snapshot.prefixes)
        raise ValidationFailed([("provider", f"'{named}' is no provider or node.{hint}")])
    return found


def _added(snapshot: Snapshot, provider: str) -> list[CustomModelView]:
    return [_view(snapshot, provider, one) for one in snapshot.custom_models.get(provider, {})]


def _overrides(snapshot: Snapshot, provider: str) -> list[ModelCompat]:
    return [_masked(row) for row in snapshot.compat.values() if row.provider == provider]


def _masked(compat: ModelCompat) -> ModelCompat:
    """What is shown of it: headers that are called like secrets hold some."""
    by_protocol = {
        name: replace(row, upstream_headers=masked_headers(row.upstream_headers or {}) or None)
        for name, row in compat.compat_by_protocol.items()
    }
    return replace(
        compat,
        upstream_headers=masked_headers(compat.upstream_headers or {}) or None,
        compat_by_protocol=by_protocol,
    )


def _view(snapshot: Snapshot, provider: str, model_id: str) -> CustomModelView:
    model = snapshot.custom_models[provider][model_id]
    compat = _masked(
        snapshot.compat.get((provider, model_id), ModelCompat(provider=provider, id=model_id))
    )
    told = {
        name: value for name, value in asdict(compat).items() if name in _SHOWN and value not in _NO
    }
    return CustomModelView(
        id=model.id,
        name=model.name or model.id,
        provider=provider,
        api_format=model.api_format,
        supported_endpoints=model.supported_endpoints,
        is_hidden=compat.is_hidden,
        **told,
    )


_MODEL_FIELDS = ("model_name", "api_format", "supported_endpoints")
_SHOWN = frozenset((*Compat.__struct_fields__, "compat_by_protocol"))
_NO: tuple[object, ...] = (None, {})
