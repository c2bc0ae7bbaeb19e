"""All that a configuration file can speak of, as it is stored, and the names people know it by."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from omniroute.catalog.providers import PREFIXES, PROVIDERS
from omniroute.operations.storage.retention import NAMESPACE as RETENTION
from omniroute.storage.configured import Configured, read_all
from omniroute.storage.database import Work
from omniroute.storage.records.proxies import GLOBAL

OWNED = "configurationFile"
"""The namespace in which it is kept what came from a file."""

Name: TypeAlias = tuple[str, ...]
"""What names an object in its section: the keys of its table."""


class Everything(Configured, frozen=True, kw_only=True):
    """What is configured, with how long records stay, which nothing else reads with it."""

    retention: Mapping[str, Any] = {}


class Owned(Struct, frozen=True):
    """The objects that came from a file: sections with their names."""

    names: frozenset[tuple[str, ...]] = frozenset()


async def read_everything(work: Work) -> Everything:
    """Everything, from storage."""
    configured = await read_all(work)
    stored = (await work.settings.namespace(RETENTION)).get(RETENTION)
    retention = stored if isinstance(stored, dict) else {}
    return Everything(**asdict(configured), retention=retention)


async def read_owned(work: Work) -> frozenset[Name]:
    """What came from a file, each by its section and name."""
    stored = (await work.settings.namespace(OWNED)).get("objects")
    rows = stored if isinstance(stored, list) else []
    return frozenset(tuple(str(part) for part in row) for row in rows if isinstance(row, list))


async def save_owned(work: Work, owned: frozenset[Name]) -> None:
    """Keep what came from a file."""
    rows = [list(one) for one in sorted(owned)]
    await work.settings.set("objects", rows, namespace=OWNED)


class Names:
    """What people call the things that are stored under ids."""

    def __init__(self, stored: Configured) -> None:
        self._nodes = stored.nodes
        self.accounts = {
            row.id: f"{self.provider(row.provider)}/{row.name}"
            for row in stored.connections.values()
            if row.auth_type != "oauth"
        }
        self.keys = {row.id: row.name for row in stored.keys.values()}
        self.combos = {row.id: row.name for row in stored.combos.values()}

    def provider(self, provider_id: str) -> str:
        """A provider's id, or the prefix of a node."""
        node = self._nodes.get(provider_id)
        return provider_id if node is None else node.prefix

    def knows(self, provider_id: str) -> bool:
        """Whether there is such a provider or node."""
        return provider_id in self._nodes or provider_id in PREFIXES or provider_id in PROVIDERS

    def scope(self, scope: str, scope_id: str) -> str | None:
        """What a proxy is for, in one text; None for what does not exist any more."""
        if scope == "global" or scope_id == GLOBAL:
            return "global"
        if scope == "provider":
            known = self.knows(scope_id)
            return f"provider:{self.provider(scope_id)}" if known else None
        if scope == "combo":
            name = scope_id if scope_id in self.combos.values() else self.combos.get(scope_id)
            return None if name is None else f"combo:{name}"
        account = self.accounts.get(scope_id)
        return None if account is None else f"account:{account}"
