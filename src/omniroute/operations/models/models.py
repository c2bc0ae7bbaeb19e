"""Which models can be asked for right now, and what is known about them."""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.models import known_models
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.accounts.account_models import account_models
from omniroute.operations.models.provider_named import provider_named
from omniroute.routing.naming.permission import model_allowed
from omniroute.routing.naming.resolve import suggest_model
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Capability, Connection


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


Source: TypeAlias = Literal["api", "cache", "local_catalog"]


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
    pricing: ModelPricing | UnsetType = UNSET


class ModelsCatalog(Struct, frozen=True, kw_only=True):
    """The models that can be asked for, with state and price. `source` is where the list comes
    from, `warning` why it is not the provider's own."""

    models: tuple[CatalogModel, ...]
    source: Source = "local_catalog"
    warning: str | UnsetType = UNSET


async def list_models_catalog(engine: Engine, caller: Caller, query: ModelsQuery) -> ModelsCatalog:
    """Models with capability, state and price: those of one provider as it lists them itself,
    else those that are known of every configured provider. Hidden ones are left out. Only for
    operators a provider is asked, which makes its models known.

    Raises:
        InvalidRequest: the provider is not known.
        UpstreamFailed: the provider gives no list, and nothing is known of it.
    """
    snapshot = engine.snapshot
    wanted: str | None = None
    if query.provider is not None:
        wanted = provider_named(snapshot, query.provider, param="provider")
    source: Source = "local_catalog"
    warning: str | UnsetType = UNSET
    own: tuple[str, ...] | None = None
    if wanted is not None and wanted not in snapshot.accounts:
        warning = f"No account of '{wanted}' is set up, so nothing of it can be asked for."
    elif wanted is not None and query.capability is None and caller.is_operator:
        account = snapshot.accounts[wanted][0]
        live = await account_models(engine, caller, account.id, exclude_hidden=True)
        own, source, warning = tuple(row.id for row in live.models), live.source, live.warning
    models = [
        found
        for provider, accounts in snapshot.accounts.items()
        if wanted in (None, provider)
        for model in own or _served(snapshot, accounts)
        if (found := _catalogued(engine, caller, provider, model)) is not None
        and query.capability in (None, *found.capabilities)
    ]
    return ModelsCatalog(models=tuple(models), source=source, warning=warning)


def _catalogued(engine: Engine, caller: Caller, provider: str, model: str) -> CatalogModel | None:
    """A model as it stands; None where the caller may not use it."""
    snapshot, view = engine.snapshot, engine.health.view()
    name = snapshot.written(provider, model)
    if not model_allowed(caller.allowed_models, (name, f"{provider}/{model}", model)):
        return None
    accounts = snapshot.accounts[provider]
    blocked = [view.blocked(provider, account.id, model) for account in accounts]
    probing = view.breaker(provider) == "HALF_OPEN"
    price, custom = snapshot.price(provider, model), snapshot.custom_models.get(provider, {})
    endpoints = custom[model].supported_endpoints if model in custom else ("chat",)
    return CatalogModel(
        id=name,
        provider=provider,
        capabilities=tuple(dict.fromkeys(_ABLE.get(one, one) for one in endpoints)),
        status="unavailable" if all(blocked) else ("degraded" if probing else "available"),
        pricing=UNSET
        if price is None
        else ModelPricing(price.input.base / 1e6, price.output.base / 1e6),
    )


_ABLE: Mapping[Capability, str] = {
    "embeddings": "embedding",
    "images": "image",
    "images-generations": "image",
    "audio-transcriptions": "audio",
    "audio-speech": "audio",
}
"""What a model can do, by the endpoint it serves; others are called as their endpoint is."""
