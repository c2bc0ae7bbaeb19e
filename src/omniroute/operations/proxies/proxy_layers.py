"""The layered proxy configuration: one proxy for each level, without a registry. 02 §10.2."""

from typing import TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.proxies.proxy_inputs import (
    LayerInput,
    LayerView,
    WrittenScope,
    layer_view,
    read_layer,
    read_scope,
)
from omniroute.storage.records.proxies import GLOBAL, Layer, LayeredProxy, Proxy

LEVELS: tuple[Layer, ...] = ("global", "provider", "combo", "key")
Layers: TypeAlias = dict[str, LayerInput | None]


class LayersInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Proxies by level, or one of them by `level`, `id` and `proxy`; null takes one away."""

    everything: LayerInput | UnsetType | None = field(default=UNSET, name="global")
    providers: Layers = {}
    combos: Layers = {}
    keys: Layers = {}
    level: Layer | None = None
    id: str | None = None
    proxy: LayerInput | UnsetType | None = UNSET


class LayersView(Struct, frozen=True, kw_only=True):
    """Every layer, credentials masked."""

    everything: LayerView | None = field(name="global")
    providers: dict[str, LayerView]
    combos: dict[str, LayerView]
    keys: dict[str, LayerView]


class OneLayer(Struct, frozen=True):
    """What holds at one place."""

    level: str
    id: str | None
    proxy: LayerView | None


async def proxy_layers(engine: Engine, caller: Caller) -> LayersView:
    """The whole layered configuration."""
    layers = engine.snapshot.proxying.outbound.layers

    def of(level: Layer) -> dict[str, LayerView]:
        return {id_: layer_view(row) for (at, id_), row in layers.items() if at == level}

    return LayersView(
        everything=of("global").get(""),
        providers=of("provider"),
        combos=of("combo"),
        keys=of("key"),
    )


async def proxy_layer(engine: Engine, caller: Caller, level: str, layer_id: str | None) -> OneLayer:
    """What holds at one place. Globally the registry comes first, as it does for requests.

    Raises:
        ValidationFailed: there is no such level, or the id is missing.
    """
    place = _place(level, layer_id)
    outbound = engine.snapshot.proxying.outbound
    found: Proxy | LayeredProxy | None = outbound.layers.get(place)
    if place[0] == "global":
        chosen = {row.proxy_id for row in outbound.assignments if row.scope_id == GLOBAL}
        registered = (row for row in outbound.proxies if row.id in chosen)
        found = next((row for row in registered if row.status == "active"), found)
    return OneLayer(place[0], place[1] or None, None if found is None else layer_view(found))


async def change_layers(engine: Engine, caller: Caller, given: LayersInput) -> LayersView:
    """Set or take away what is named; the rest stays.

    Raises:
        ValidationFailed: nothing is named, or a part of it does not fit.
    """
    wanted = _wanted(given)
    if not wanted:
        raise ValidationFailed([("", "name a level with its proxy, or a layer of proxies")])
    outbound = engine.snapshot.proxying.outbound
    read: dict[tuple[Layer, str], LayeredProxy | None] = {}
    for (level, id_), (layer, named) in wanted.items():
        if layer is not None and level != "global":
            scope: WrittenScope = level
            read_scope(engine.snapshot, scope, id_)
        old = outbound.layers.get((level, id_))
        read[level, id_] = None if layer is None else read_layer(engine, layer, old, named)
    async with engine.configuration.change(caller, "proxy.config.updated") as work:
        for (level, id_), proxy in read.items():
            await work.layered_proxies.set(level, id_, proxy)
        work.details["layers"] = [f"{level}:{id_}" if id_ else level for level, id_ in read]
    return await proxy_layers(engine, caller)


async def delete_layer(
    engine: Engine, caller: Caller, level: str | None, layer_id: str | None
) -> LayersView:
    """Take one layer away, whether or not it was there.

    Raises:
        ValidationFailed: there is no such level, or the id is missing.
    """
    if level is None:
        raise ValidationFailed([("level", "is required")])
    place = _place(level, layer_id)
    async with engine.configuration.change(caller, "proxy.config.updated") as work:
        await work.layered_proxies.set(*place, None)
        work.details["layers"] = [":".join(filter(None, place))]
    return await proxy_layers(engine, caller)


def _wanted(given: LayersInput) -> dict[tuple[Layer, str], tuple[LayerInput | None, str]]:
    """What is named, with the field that names it."""
    wanted: dict[tuple[Layer, str], tuple[LayerInput | None, str]] = {}
    if given.everything is not UNSET:
        wanted["global", ""] = given.everything, "global."
    plurals: tuple[tuple[Layer, str, Layers], ...] = (
        ("provider", "providers", given.providers),
        ("combo", "combos", given.combos),
        ("key", "keys", given.keys),
    )
    for level, name, layers in plurals:
        for id_, layer in layers.items():
            wanted[_place(level, id_)] = layer, f"{name}.{id_}."
    if given.level is not None:
        if given.proxy is UNSET:
            raise ValidationFailed([("proxy", "is required with a level; null takes it away")])
        wanted[_place(given.level, given.id)] = given.proxy, "proxy."
    elif given.proxy is not UNSET or given.id is not None:
        raise ValidationFailed([("level", "is required with a proxy or an id")])
    return wanted


def _place(level: str, id_: str | None) -> tuple[Layer, str]:
    known = next((one for one in LEVELS if one == level), None)
    if known is None:
        hint = did_you_mean(level, LEVELS)
        raise ValidationFailed([("level", f"must be one of: {', '.join(LEVELS)}.{hint}")])
    if known == "global":
        return known, ""
    if not id_:
        raise ValidationFailed([("id", f"is required for the level '{level}'")])
    return known, id_
