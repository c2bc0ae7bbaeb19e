"""Models operators add to providers, beside those the providers list. Source: 02 §4.11."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import NotFound, ValidationFailed
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import CustomModel


class CustomModelInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model to add. `provider` is an id or prefix; `api_format` how the model is spoken to."""

    provider: Annotated[str, Meta(min_length=1, max_length=120)]
    model_id: Annotated[str, Meta(min_length=1, max_length=240)]
    model_name: Annotated[str, Meta(max_length=240)] = ""
    api_format: Literal["chat-completions", "responses"] = "chat-completions"


class CustomModelView(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model that was added."""

    id: str
    name: str
    provider: str
    api_format: str
    source: str = "manual"


async def list_custom_models(
    engine: Engine, caller: Caller, provider: str | None
) -> dict[str, list[CustomModelView]]:
    """The models that were added, by provider id; only those of `provider` when it is named.

    Raises:
        ValidationFailed: there is no such provider.
    """
    snapshot = engine.snapshot
    wanted = None if provider is None else _provider(provider, snapshot)
    return {
        provider_id: [_view(model) for model in models.values()]
        for provider_id, models in snapshot.custom_models.items()
        if wanted in (None, provider_id)
    }


async def add_custom_model(
    engine: Engine, caller: Caller, new: CustomModelInput
) -> CustomModelView:
    """Add a model to a provider, or replace the one with its id.

    Raises:
        ValidationFailed: there is no such provider.
    """
    model = CustomModel(
        provider=_provider(new.provider, engine.snapshot),
        id=new.model_id.strip(),
        name=new.model_name.strip(),
        api_format=new.api_format,
    )
    if not model.id:
        raise ValidationFailed([("modelId", "must not be blank")])
    async with engine.configuration.change(
        caller, "model.updated", f"{model.provider}/{model.id}"
    ) as work:
        await work.model_names.save_custom_model(model)
    return _view(model)


async def delete_custom_model(engine: Engine, caller: Caller, provider: str, model_id: str) -> None:
    """Remove a model that was added.

    Raises:
        ValidationFailed: there is no such provider.
        NotFound: the model was not added by hand.
    """
    provider_id = _provider(provider, engine.snapshot)
    async with engine.configuration.change(
        caller, "model.deleted", f"{provider_id}/{model_id}"
    ) as work:
        if not await work.model_names.delete_custom_model(provider_id, model_id):
            raise NotFound(f"Nobody added a model '{model_id}' to '{provider}'.")


def _provider(named: str, snapshot: Snapshot) -> str:
    found = snapshot.provider_named(named)
    if found is None:
        hint = did_you_mean(named, snapshot.prefixes)
        raise ValidationFailed([("provider", f"'{named}' is no provider or node.{hint}")])
    return found


def _view(model: CustomModel) -> CustomModelView:
    values = msgspec.structs.asdict(model)
    return CustomModelView(**{**values, "name": model.name or model.id})
