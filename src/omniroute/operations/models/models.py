"""Which models can be asked for right now, and what is known about them."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.models import known_models
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.models.provider_named import provider_named
from omniroute.routing.naming.permission import model_allowed
from omniroute.routing.naming.resolve import suggest_model
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Connection


class ModelEntry(Struct, frozen=True, kw_only=True):
    """One entry of the OpenAI model list, in wire names (01 §7). `created` is Unix seconds."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    permission: tuple[str, ...] = ()
    root: str
    parent: str | None = None
    context_length: int | UnsetType = UNSET
    max_input_tokens: int | UnsetType = UNSET
    custom: bool | UnsetType = UNSET


async def list_models(engine: Engine, caller: Caller) -> list[ModelEntry]:
    """All combos, then the models of every provider with an active account (01 §7).

    A key with `allowedModels` sees only what it may use.
    """
    created = engine.started_at_ms // 1000
    entries = _entries(engine.snapshot, created)
    allowed = caller.allowed_models
    return [entry for entry in entries if model_allowed(allowed, (entry.id, entry.root))]


async def get_model(engine: Engine, caller: Caller, model_id: str) -> ModelEntry:
    """One entry of the list.

    Raises:
        NotFound: it is not in the list; the message names the nearest that is.
    """
    for entry in await list_models(engine, caller):
        if entry.id == model_id:
            return entry
    hint = suggest_model(model_id, engine.snapshot)
    raise NotFound(f"There is no model '{model_id}'.{hint}", code="model_not_found")


async def list_provider_models(engine: Engine, caller: Caller, named: str) -> list[ModelEntry]:
    """The models of one provider, named by id or prefix; ids stand without the prefix.

    Raises:
        InvalidRequest: there is no such provider.
    """
    snapshot = engine.snapshot
    provider_id = provider_named(snapshot, named, code="invalid_provider")
    prefix = f"{snapshot.providers[provider_id].alias or provider_id}/"
    return [
        msgspec.structs.replace(entry, id=entry.root)
        for entry in await list_models(engine, caller)
        if entry.id == prefix + entry.root
    ]


def _entries(snapshot: Snapshot, created: int) -> Iterator[ModelEntry]:
    for combo in sorted(snapshot.combos.values(), key=lambda row: row.sort_order):
        if combo.is_active and not combo.is_hidden:
            length = combo.context_length or UNSET
            yield ModelEntry(
                id=combo.name,
                created=created,
                owned_by="combo",
                root=combo.name,
                context_length=length,
            )
    for provider_id, accounts in snapshot.accounts.items():
        row = snapshot.providers[provider_id]
        alias = row.alias or row.id
        is_node = provider_id in snapshot.nodes
        owner = alias if is_node else provider_id
        windows = {model.id: model.context_tokens for model in known_models(provider_id)}
        for model in _served(snapshot, accounts):
            window = windows.get(model) or UNSET
            first = ModelEntry(
                id=f"{alias}/{model}",
                created=created,
                owned_by=owner,
                root=model,
                context_length=window,
                max_input_tokens=window,
                custom=True if is_node else UNSET,
            )
            yield first
            if alias != provider_id and not is_node:
                yield ModelEntry(
                    id=f"{provider_id}/{model}",
                    created=created,
                    owned_by=owner,
                    root=model,
                    parent=first.id,
                    context_length=window,
                    max_input_tokens=window,
                )


def _served(snapshot: Snapshot, accounts: tuple[Connection, ...]) -> list[str]:
    named: dict[str, None] = {}
    for account in accounts:
        named.update(dict.fromkeys(snapshot.models(account)))
        if account.default_model:
            named.setdefault(account.default_model)
    provider = accounts[0].provider if accounts else ""
    return [model for model in named if not snapshot.is_hidden(provider, model)]


class ModelsQuery(Struct, frozen=True, kw_only=True):
    """Which models to list.

    Attributes:
        provider: only this provider (id or prefix).
        capability: only models that can do this.
    """

    provider: str | None = None
    capability: (
        Literal["chat", "embedding", "image", "audio", "video", "rerank", "moderation"] | None
    ) = None


class ModelPricing(Struct, frozen=True, rename="camel"):
    """USD per million tokens."""

    input_per_million: float | None
    output_per_million: float | None


class CatalogModel(Struct, frozen=True, kw_only=True):
    """One model with its state: `available`, `degraded` (probing) or `unavailable`."""

    id: str
    provider: str
    capabilities: tuple[str, ...] = ("chat",)
    status: Literal["available", "degraded", "unavailable"] = "available"
    pricing: ModelPricing | None = None


class ModelsCatalog(Struct, frozen=True, kw_only=True):
    """The models that can be asked for, with state and price."""

    models: tuple[CatalogModel, ...]
    source: str = "local_catalog"


async def list_models_catalog(engine: Engine, caller: Caller, query: ModelsQuery) -> ModelsCatalog:
    """Models of the configured providers with capability, state and price.

    Raises:
        InvalidRequest: the provider is not known.
    """
    snapshot = engine.snapshot
    wanted: str | None = None
    if query.provider is not None:
        wanted = provider_named(snapshot, query.provider, param="provider")
    if query.capability not in (None, "chat"):
        return ModelsCatalog(models=())
    view = engine.health.view()
    models: list[CatalogModel] = []
    for provider_id, accounts in snapshot.accounts.items():
        if wanted not in (None, provider_id):
            continue
        row = snapshot.providers[provider_id]
        for model in _served(snapshot, accounts):
            name = f"{row.alias or row.id}/{model}"
            if not model_allowed(caller.allowed_models, (name, f"{provider_id}/{model}", model)):
                continue
            blocked = [view.blocked(provider_id, account.id, model) for account in accounts]
            probing = view.breaker(provider_id) == "HALF_OPEN"
            price = snapshot.price(provider_id, model)
            models.append(
                CatalogModel(
                    id=name,
                    provider=provider_id,
                    status="unavailable"
                    if all(blocked)
                    else ("degraded" if probing else "available"),
                    pricing=None
                    if price is None
                    else ModelPricing(price.input.base / 1e6, price.output.base / 1e6),
                )
            )
    return ModelsCatalog(models=tuple(models))
