"""Custom upstreams and accounts in a configuration file."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from omniroute.catalog.providers import PREFIXES
from omniroute.clock import iso
from omniroute.errors import OmniRouteError
from omniroute.operations.accounts.connections import (
    ConnectionInput,
    ModelName,
    checked_account,
    node_facts,
    start_afresh,
)
from omniroute.operations.accounts.nodes import (
    NodeInput,
    new_node_id,
    node_of,
    propagate,
    told_of,
)
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
    as_written,
    fields_of,
    read_fields,
    spellings,
)
from omniroute.operations.configuration.configuration_file.kind import (
    Applying,
    Kind,
    Reading,
    with_rows,
)
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.configuration.configuration_file.references import (
    Secret,
    opened_headers,
    told_headers,
)
from omniroute.storage.connections import SECRET_OPTIONS
from omniroute.storage.database import Work
from omniroute.storage.records.configuration import Connection, ProviderNode

FOUND_OUT = frozenset({"models"})
"""Options that the gateway writes itself: what it was told by upstreams."""

OPTIONS = {"provider_specific_data": "options"}


class NodesKind(Kind[ProviderNode]):
    """Custom upstreams by prefix."""

    section = "nodes"
    about = "Custom upstreams by the prefix of their models."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, ProviderNode]]:
        for row in stored.nodes.values():
            yield (row.prefix,), row

    def told(self, row: ProviderNode, names: Names, stored: Everything) -> dict[str, Any]:
        said = fields_of(
            row, "id", "prefix", "headers", "created_at", "updated_at", always=("type", "api_type")
        )
        headers = told_headers(row.headers)
        return {**said, **({"headers": headers} if headers else {})}

    def read(self, reading: Reading) -> dict[Name, ProviderNode]:
        have = self.named(reading.stored)
        found = {}
        for name, written in reading.tables(self.section, 1):
            row = self._one(reading, name[0], written, have.get(name))
            if row is not None:
                found[name] = row
        return found

    def _one(
        self, reading: Reading, prefix: str, written: Any, old: ProviderNode | None
    ) -> ProviderNode | None:
        path: Path = (self.section, prefix)
        document = reading.document
        if isinstance(written, dict) and "headers" in written:
            where, references = (*path, "headers"), reading.references
            headers = opened_headers(references, written["headers"], where, document)
            written = {**written, "headers": headers}
        new = read_fields(NodeInput, written, path, document, given={"prefix": prefix})
        if new is None:
            return None
        if old is None and prefix in PREFIXES:
            document.problem(path, "is the prefix of a built-in provider; choose another.")
            return None
        if old is not None and new.type != old.type:
            document.problem((*path, "type"), "cannot change; make another node instead.")
            return None
        node_id = new_node_id(reading.engine, new) if old is None else old.id
        now = iso(reading.engine.now_ms())
        try:
            node = node_of(new, node_id, now)
        except OmniRouteError as error:
            document.refusals(path, error, spellings(NodeInput))
            return None
        return node if old is None else replace(node, created_at=old.created_at)

    def placed(
        self, stored: Everything, wanted: Collection[ProviderNode], gone: Collection[ProviderNode]
    ) -> Everything:
        left = {row.id for row in gone}
        changed = {row.id: row for row in wanted if row.id in stored.nodes}
        accounts = {
            id_: told_of(row, stored.nodes[row.provider], changed[row.provider])
            if row.provider in changed
            else row
            for id_, row in stored.connections.items()
            if row.provider not in left
        }
        nodes = with_rows(stored.nodes, ((row.id, row) for row in wanted), left)
        return replace(stored, nodes=nodes, connections=accounts)

    async def save(
        self, work: Work, row: ProviderNode, old: ProviderNode | None, doing: Applying
    ) -> None:
        await work.nodes.save(row)
        if old is not None:
            await propagate(work, old, row)

    async def delete(self, work: Work, row: ProviderNode, doing: Applying) -> None:
        gone = [one.id for one in await work.connections.of_provider(row.id)]
        await work.nodes.delete(row.id)
        await work.connections.delete_for_provider(row.id)
        doing.after.append(lambda: start_afresh(doing.engine, gone))


class AccountInput(ConnectionInput, frozen=True, kw_only=True, rename="camel"):
    """An account as a file has it."""

    project_id: ModelName | None = None


class AccountsKind(Kind[Connection]):
    """Accounts with keys, by provider and name. Logins belong to the browser that made them."""

    section = "accounts"
    depth = 2
    about = "Accounts by provider (or prefix of a node) and name. Logins are not in files."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, Connection]]:
        names = Names(stored)
        for row in stored.connections.values():
            if row.auth_type != "oauth" and names.knows(row.provider):
                yield (names.provider(row.provider), row.name), row

    def told(self, row: Connection, names: Names, stored: Everything) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if row.api_key is not None:
            said["api_key"] = Secret(row.api_key)
        for name in _SHOWN:
            value = getattr(row, name)
            if value != _DEFAULTS.get(name):
                said[name] = as_written(value)
        options = self._options(row, stored.nodes)
        return {**said, **({"options": options} if options else {})}

    def _options(self, row: Connection, nodes: Mapping[str, ProviderNode]) -> dict[str, Any]:
        node = nodes.get(row.provider)
        facts = {} if node is None else node_facts(node)
        own = {
            name: value
            for name, value in row.options.items()
            if name not in FOUND_OUT and value is not None and facts.get(name) != value
        }
        return {
            name: _sealed(value) if name in SECRET_OPTIONS else as_written(value)
            for name, value in own.items()
        }

    def read(self, reading: Reading) -> dict[Name, Connection]:
        have = self.named(reading.supposed)
        found: dict[Name, Connection] = {}
        unknown: set[str] = set()
        for (named, title), written in reading.tables(self.section, 2):
            path: Path = (self.section, named, title)
            if named in unknown:
                continue
            provider = reading.provider(named, path[:2])
            if provider is None:
                unknown.add(named)
                continue
            name = reading.names.provider(provider), title.strip()
            if name in found:
                reading.document.problem(path, "is there twice: the provider has several names.")
                continue
            row = self._one(reading, provider, title, written, path, have.get(name))
            if row is not None:
                found[name] = row
        return found

    def _one(
        self,
        reading: Reading,
        provider: str,
        title: str,
        written: Any,
        path: Path,
        old: Connection | None,
    ) -> Connection | None:
        new = read_fields(
            AccountInput,
            _opened(reading, written, path),
            path,
            reading.document,
            given={"provider": provider, "name": title},
            renamed=OPTIONS,
            hidden=("test_status",),
        )
        if new is None:
            return None
        try:
            made = replace(checked_account(reading.engine, new), project_id=new.project_id or None)
        except OmniRouteError as error:
            reading.document.refusals(path, error, spellings(AccountInput, OPTIONS))
            return None
        if old is None:
            return made
        known = {name: old.options[name] for name in FOUND_OUT & old.options.keys()}
        said = {name: getattr(made, name) for name in ("api_key", *_SHOWN)}
        return replace(old, **said, options={**made.options, **known}, updated_at=made.updated_at)

    def placed(
        self, stored: Everything, wanted: Collection[Connection], gone: Collection[Connection]
    ) -> Everything:
        rows = with_rows(
            stored.connections, ((row.id, row) for row in wanted), (row.id for row in gone)
        )
        return replace(stored, connections=rows)

    async def save(
        self, work: Work, row: Connection, old: Connection | None, doing: Applying
    ) -> None:
        await work.connections.save(row)
        if old is None or old.api_key != row.api_key:
            doing.after.append(lambda: start_afresh(doing.engine, [row.id]))

    async def delete(self, work: Work, row: Connection, doing: Applying) -> None:
        await work.connections.delete(row.id)
        doing.after.append(lambda: start_afresh(doing.engine, [row.id]))


_SHOWN = (
    "priority",
    "global_priority",
    "default_model",
    "is_active",
    "group",
    "max_concurrent",
    "rate_limit_protection",
    "health_check_interval",
    "project_id",
    "quota_window_thresholds",
)
_DEFAULTS = {"priority": 1, "is_active": True}


def _sealed(value: Any) -> Any:
    """Every text in a secret option is a secret."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, list | tuple):
        return [_sealed(one) for one in value]
    return as_written(value)


def _opened(reading: Reading, written: Any, path: Path) -> Any:
    """A table with its references resolved, where secrets may stand."""
    if not isinstance(written, dict):
        return written
    opened, references, document = dict(written), reading.references, reading.document
    if "api_key" in opened:
        opened["api_key"] = references.opened(opened["api_key"], (*path, "api_key"), document)
    options = opened.get("options", UNSET)
    if isinstance(options, dict):
        opened["options"] = {
            name: references.opened(value, (*path, "options", name), document)
            if name in SECRET_OPTIONS
            else value
            for name, value in options.items()
        }
    return opened
