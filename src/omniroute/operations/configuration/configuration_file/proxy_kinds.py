"""Outbound proxies in a configuration file: the registry with what it is for, and the layers."""

from collections.abc import Collection, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from omniroute.catalog.names import did_you_mean
from omniroute.clock import iso
from omniroute.errors import OmniRouteError, ValidationFailed
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.fields import (
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
from omniroute.operations.configuration.configuration_file.references import Secret
from omniroute.operations.proxies.proxies import made_proxy
from omniroute.operations.proxies.proxy_inputs import LayerInput, ProxyInput, read_layer, read_scope
from omniroute.storage.database import Work
from omniroute.storage.records.proxies import (
    GLOBAL,
    Layer,
    LayeredProxy,
    Proxy,
    ProxyAssignment,
    Scope,
)

_SCOPES = ("global", "provider", "account", "combo")
_CREDENTIALS = ("username", "password")


class UsedProxy(Struct, frozen=True):
    """A proxy of the registry with the scopes it is assigned to."""

    proxy: Proxy
    uses: tuple[tuple[Scope, str], ...]


class ProxiesKind(Kind[UsedProxy]):
    """The registry, by name; `for` says what a proxy is for."""

    section = "proxies"
    about = (
        'Outbound proxies by name. `for` lists what each is for: "global", "provider:ID",'
        ' "account:PROVIDER/NAME", "combo:NAME".'
    )

    def rows(self, stored: Everything) -> Iterator[tuple[Name, UsedProxy]]:
        for row in sorted(stored.proxies, key=lambda one: (one.name, one.created_at, one.id)):
            uses = [
                (use.scope, use.scope_id) for use in stored.assignments if use.proxy_id == row.id
            ]
            yield (row.name,), UsedProxy(row, tuple(sorted(uses)))

    def told(self, row: UsedProxy, names: Names, stored: Everything) -> dict[str, Any]:
        said = fields_of(
            row.proxy,
            *("id", "name", "source", "created_at", "updated_at", *_CREDENTIALS),
            always=("type", "port"),
        )
        uses = [text for use in row.uses if (text := names.scope(*use)) is not None]
        return {**said, **_secrets(row.proxy), **({"for": sorted(uses)} if uses else {})}

    def read(self, reading: Reading) -> dict[Name, UsedProxy]:
        have = self.named(reading.stored)
        found: dict[Name, UsedProxy] = {}
        taken: dict[tuple[Scope, str], str] = {}
        for (title,), written in reading.tables(self.section, 1):
            path: Path = (self.section, title)
            old = have.get((title.strip(),))
            uses = self._uses(reading, written, path, taken)
            proxy = self._one(reading, title, written, path, old.proxy if old else None)
            if proxy is not None:
                found[proxy.name,] = UsedProxy(proxy, uses)
        return found

    def _one(
        self, reading: Reading, title: str, written: Any, path: Path, old: Proxy | None
    ) -> Proxy | None:
        if isinstance(written, dict):
            written = {name: value for name, value in written.items() if name != "for"}
        new = read_fields(
            ProxyInput,
            opened_credentials(reading, written, path),
            path,
            reading.document,
            given={"name": title},
        )
        if new is None:
            return None
        try:
            made = made_proxy(reading.engine, new, reading.engine.new_id())
        except OmniRouteError as error:
            reading.document.refusals(path, error, spellings(ProxyInput))
            return None
        if old is None:
            return made
        return replace(made, id=old.id, source=old.source, created_at=old.created_at)

    def _uses(
        self, reading: Reading, written: Any, path: Path, taken: dict[tuple[Scope, str], str]
    ) -> tuple[tuple[Scope, str], ...]:
        wanted = written.get("for", []) if isinstance(written, dict) else []
        if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
            reading.document.problem((*path, "for"), "must be a list of texts.")
            return ()
        found = []
        for at, text in enumerate(wanted):
            use = read_use(reading, text, (*path, "for", at))
            if use is None:
                continue
            if use in taken:
                told = f"'{text}' has the proxy '{taken[use]}' already."
                reading.document.problem((*path, "for", at), told)
                continue
            taken[use] = str(path[-1])
            found.append(use)
        return tuple(sorted(found))

    def placed(
        self, stored: Everything, wanted: Collection[UsedProxy], gone: Collection[UsedProxy]
    ) -> Everything:
        left = {row.proxy.id for row in gone}
        rows = with_rows(
            {row.id: row for row in stored.proxies},
            ((row.proxy.id, row.proxy) for row in wanted),
            left,
        )
        renewed = {row.proxy.id for row in wanted} | left
        claimed = {use: row.proxy.id for row in wanted for use in row.uses}
        kept = [
            use
            for use in stored.assignments
            if use.proxy_id not in renewed and (use.scope, use.scope_id) not in claimed
        ]
        added = [
            ProxyAssignment(id="", proxy_id=proxy_id, scope=scope, scope_id=scope_id)
            for (scope, scope_id), proxy_id in claimed.items()
        ]
        return replace(stored, proxies=tuple(rows.values()), assignments=(*kept, *added))

    async def save(
        self, work: Work, row: UsedProxy, old: UsedProxy | None, doing: Applying
    ) -> None:
        engine = doing.engine
        await work.proxies.save(row.proxy)
        for scope, scope_id in old.uses if old is not None else ():
            if (scope, scope_id) not in row.uses:
                await work.proxies.unassign(scope, scope_id)
        now = iso(engine.now_ms())
        for scope, scope_id in row.uses:
            await work.proxies.assign(
                ProxyAssignment(
                    id=engine.new_id(),
                    proxy_id=row.proxy.id,
                    scope=scope,
                    scope_id=scope_id,
                    created_at=now,
                    updated_at=now,
                )
            )

    async def delete(self, work: Work, row: UsedProxy, doing: Applying) -> None:
        await work.proxies.delete(row.proxy.id)


class PlacedProxy(Struct, frozen=True):
    """A proxy of the layered configuration at its place."""

    level: Layer
    id: str
    proxy: LayeredProxy


class LayersKind(Kind[PlacedProxy]):
    """The layered configuration, by what each proxy is for."""

    section = "proxy_layers"
    about = "Proxies without a place in the registry, by what they are for."

    def rows(self, stored: Everything) -> Iterator[tuple[Name, PlacedProxy]]:
        names = Names(stored)
        for (level, id_), proxy in sorted(stored.layers.items(), key=lambda one: one[0]):
            known: tuple[Layer, ...] = ("global", "provider", "combo", "key")
            layer = next((one for one in known if one == level), None)
            scope = names.scope("account" if level == "key" else level, id_)
            if layer is not None and scope is not None:
                yield (scope,), PlacedProxy(layer, id_, proxy)

    def told(self, row: PlacedProxy, names: Names, stored: Everything) -> dict[str, Any]:
        said = fields_of(row.proxy, *_CREDENTIALS, always=("type", "port"))
        return {**said, **_secrets(row.proxy)}

    def read(self, reading: Reading) -> dict[Name, PlacedProxy]:
        have, names = self.named(reading.supposed), reading.names
        found: dict[Name, PlacedProxy] = {}
        for (text,), written in reading.tables(self.section, 1):
            path: Path = (self.section, text)
            use = read_use(reading, text, path)
            new = read_fields(
                LayerInput, opened_credentials(reading, written, path), path, reading.document
            )
            if use is None or new is None:
                continue
            scope, scope_id = use
            name = (names.scope(scope, scope_id) or text,)
            try:
                proxy = read_layer(reading.engine, new, None, "")
            except ValidationFailed as error:
                reading.document.refusals(path, error, spellings(LayerInput))
                continue
            level: Layer = "key" if scope == "account" else scope
            id_ = "" if scope == "global" else scope_id
            old = have.get(name)
            found[name] = PlacedProxy(level, id_ if old is None else old.id, proxy)
        return found

    def placed(
        self, stored: Everything, wanted: Collection[PlacedProxy], gone: Collection[PlacedProxy]
    ) -> Everything:
        rows = with_rows(
            stored.layers,
            (((row.level, row.id), row.proxy) for row in wanted),
            ((row.level, row.id) for row in gone),
        )
        return replace(stored, layers=rows)

    async def save(
        self, work: Work, row: PlacedProxy, old: PlacedProxy | None, doing: Applying
    ) -> None:
        await work.layered_proxies.set(row.level, row.id, row.proxy)

    async def delete(self, work: Work, row: PlacedProxy, doing: Applying) -> None:
        await work.layered_proxies.set(row.level, row.id, None)


def read_use(reading: Reading, text: str, path: Path) -> tuple[Scope, str] | None:
    """What a proxy is for, by ids; what does not exist is noted."""
    word, _, named = text.partition(":")
    scope: Scope | None = next((one for one in _scopes() if one == word), None)
    if scope is None:
        hint = did_you_mean(word, _SCOPES)
        told = f"must be 'global', or provider, account or combo with a name after a colon.{hint}"
        reading.document.problem(path, told)
        return None
    if scope == "global":
        return scope, GLOBAL
    if scope == "account":
        account = reading.account(named, path)
        return None if account is None else (scope, account)
    try:
        return read_scope(reading.engine.snapshot, scope, named)
    except ValidationFailed as error:
        reading.document.problem(path, error.problems[0][1])
        return None


def opened_credentials(reading: Reading, written: Any, path: Path) -> Any:
    """A proxy's table with its references resolved."""
    if not isinstance(written, dict):
        return written
    return {
        name: reading.references.opened(value, (*path, name), reading.document)
        if name == "password" or (name == "username" and isinstance(value, dict))
        else value
        for name, value in written.items()
    }


def _scopes() -> tuple[Scope, ...]:
    return ("global", "provider", "account", "combo")


def _secrets(proxy: Proxy | LayeredProxy) -> dict[str, Any]:
    return {name: Secret(value) for name in _CREDENTIALS if (value := getattr(proxy, name))}
