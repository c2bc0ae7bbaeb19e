"""Everything operators configured, as it was read last; after a change only that is read again."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Table

from omniroute.catalog.overrides import Stated
from omniroute.storage import tables
from omniroute.storage.changes import Changes
from omniroute.storage.database import Work
from omniroute.storage.model_names import ALIASES
from omniroute.storage.records.access import AccessRules
from omniroute.storage.records.configuration import (
    Agent,
    ApiKey,
    Combo,
    Connection,
    CustomModel,
    ModelCompat,
    ModelMapping,
    ProviderNode,
)
from omniroute.storage.records.money import BudgetRow
from omniroute.storage.records.proxies import LayeredProxy, Proxy, ProxyAssignment

MOST_AT_ONCE = 500
"""Rows read one by one after a change; of more than that, the whole table is read."""

_NOT_CONFIGURED = frozenset({"meta", "configurationFile"})
"""Namespaces of the key-value table that hold nothing operators configure."""


class Row(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """What names it for good."""


RowT = TypeVar("RowT", bound=Row)
RowT_co = TypeVar("RowT_co", bound=Row, covariant=True)


class Rows(Protocol[RowT_co]):
    """A repository of such records."""

    async def list(self) -> tuple[RowT_co, ...]:
        """All of them."""

    async def some(self, ids: Collection[str]) -> tuple[RowT_co, ...]:
        """Those that exist."""


class Configured(Struct, frozen=True, kw_only=True):
    """The rows of every table of configuration, by id; `version` is that of the whole."""

    version: int
    connections: Mapping[str, Connection]
    nodes: Mapping[str, ProviderNode]
    combos: Mapping[str, Combo]
    keys: Mapping[str, ApiKey]
    mappings: Mapping[str, ModelMapping]
    settings: Mapping[str, Any]
    aliases: Mapping[str, str]
    custom_models: tuple[CustomModel, ...]
    compat: tuple[ModelCompat, ...]
    budgets: tuple[BudgetRow, ...]
    stated_prices: Stated
    proxies: tuple[Proxy, ...]
    assignments: tuple[ProxyAssignment, ...]
    layers: Mapping[tuple[str, str], LayeredProxy]
    access: AccessRules
    agents: Mapping[str, Agent]


async def read_all(work: Work) -> Configured:
    """Everything, from storage."""
    return Configured(
        version=await work.settings.version(),
        connections=_in_order(_by_id(await work.connections.list())),
        nodes=_by_id(await work.nodes.list()),
        combos=_by_id(await work.combos.list()),
        keys=_by_id(await work.keys.list()),
        mappings=_by_id(await work.mappings.list()),
        settings=await work.settings.all(),
        aliases=await work.model_names.aliases(),
        custom_models=await work.model_names.custom_models(),
        compat=await work.model_names.compat(),
        budgets=await work.budgets.list(),
        stated_prices=await work.prices.stated(),
        proxies=await work.proxies.list(),
        assignments=await work.proxies.assignments(),
        layers=await work.layered_proxies.all(),
        access=await work.access.rules(),
        agents=_by_id(await work.agents.list()),
    )


async def read_again(work: Work, old: Configured, changes: Changes) -> Configured:
    """The same after one change: what it wrote is read, everything else stays the very same.

    A version that is not the next one says that somebody else changed something, too: then
    everything is read.
    """
    version = await work.settings.version()
    if version != old.version + 1:
        return await read_all(work)
    connections = await _again(
        tables.provider_connections, work.connections, old.connections, changes
    )
    nodes = await _again(tables.provider_nodes, work.nodes, old.nodes, changes)
    combos = await _again(tables.combos, work.combos, old.combos, changes)
    mappings = await _again(tables.model_combo_mappings, work.mappings, old.mappings, changes)
    if combos is not old.combos:  # a combo takes its mappings along
        kept = {id_: row for id_, row in mappings.items() if row.combo_id in combos}
        mappings = mappings if len(kept) == len(mappings) else kept
    new = replace(
        old,
        version=version,
        connections=connections if connections is old.connections else _in_order(connections),
        nodes=nodes if nodes is old.nodes else _sorted(nodes, lambda row: (row.name, row.id)),
        combos=combos
        if combos is old.combos
        else _sorted(combos, lambda row: (row.sort_order, row.name)),
        keys=await _again(tables.api_keys, work.keys, old.keys, changes),
        mappings=mappings
        if mappings is old.mappings
        else _sorted(mappings, lambda row: (-row.priority, row.created_at, row.id)),
    )
    if changes.of(tables.budgets) != set():
        new = replace(new, budgets=await work.budgets.list())
    if changes.of(tables.agents) != set():
        new = replace(new, agents=_by_id(await work.agents.list()))
    if changes.of(tables.proxy_registry) != set():
        new = replace(new, proxies=await work.proxies.list())
    if changes.of(tables.proxy_assignments) != set():
        new = replace(new, assignments=await work.proxies.assignments())
    return await _names_again(work, new, changes)


async def _names_again(work: Work, old: Configured, changes: Changes) -> Configured:
    """What lies in the key-value table."""
    written = changes.of(tables.key_value)
    if written is not None and all(key[0] in _NOT_CONFIGURED for key in written):
        return old
    aliases: Mapping[str, str] = old.aliases
    renamed = None if written is None else {key[1] for key in written if key[0] == ALIASES}
    if renamed is None or len(renamed) > MOST_AT_ONCE:
        aliases = await work.model_names.aliases()
    elif renamed:
        aliases = {name: target for name, target in aliases.items() if name not in renamed}
        aliases |= await work.model_names.aliases(renamed)
    if written is not None and {key[0] for key in written} <= {*_NOT_CONFIGURED, ALIASES}:
        return replace(old, aliases=aliases)
    return replace(
        old,
        aliases=aliases,
        settings=await work.settings.all(),
        custom_models=await work.model_names.custom_models(),
        compat=await work.model_names.compat(),
        stated_prices=await work.prices.stated(),
        layers=await work.layered_proxies.all(),
        access=await work.access.rules(),
    )


async def _again(
    table: Table, rows: Rows[RowT], old: Mapping[str, RowT], changes: Changes
) -> Mapping[str, RowT]:
    written = changes.of(table)
    if written is None or len(written) > MOST_AT_ONCE:
        return _by_id(await rows.list())
    if not written:
        return old
    ids = {key[0] for key in written}
    kept = {id_: row for id_, row in old.items() if id_ not in ids}
    return {**kept, **_by_id(await rows.some(ids))}


def _by_id(rows: Collection[RowT]) -> dict[str, RowT]:
    return {row.id: row for row in rows}


def _sorted(rows: Mapping[str, RowT], key: Callable[[RowT], Any]) -> dict[str, RowT]:
    return _by_id(sorted(rows.values(), key=key))


def _in_order(rows: Mapping[str, Connection]) -> dict[str, Connection]:
    """Accounts by provider, then priority, then the latest change."""
    ordered = sorted(rows.values(), key=lambda row: row.id)
    ordered.sort(key=lambda row: row.updated_at, reverse=True)
    ordered.sort(key=lambda row: (row.provider, row.priority))
    return _by_id(ordered)
