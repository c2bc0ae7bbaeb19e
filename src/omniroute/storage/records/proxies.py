"""Outbound proxies as they are kept: the registry, what they are for, and what came of them."""

from typing import Literal, TypeAlias

from msgspec import Struct

ProxyKind: TypeAlias = Literal["http", "https", "socks5"]
Scope: TypeAlias = Literal["global", "provider", "account", "combo"]
Layer: TypeAlias = Literal["global", "provider", "combo", "key"]

GLOBAL = "__global__"
"""The scope id of what is for everything."""


class Proxy(Struct, frozen=True, kw_only=True):
    """A proxy of the registry. Credentials are clear text in memory only; empty ones are none.

    Times are ISO-8601 UTC with milliseconds.
    """

    id: str
    name: str
    type: ProxyKind
    host: str
    port: int
    username: str = ""
    password: str = ""
    region: str | None = None
    notes: str | None = None
    status: Literal["active", "inactive"] = "active"
    source: str = "manual"
    created_at: str = ""
    updated_at: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.id}, {self.type}://{self.host}:{self.port})"


class ProxyAssignment(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a proxy is for. `scope_id` is a provider, an account or a combo, or `GLOBAL`."""

    id: str
    proxy_id: str
    scope: Scope
    scope_id: str
    created_at: str = ""
    updated_at: str = ""


class LayeredProxy(Struct, frozen=True, kw_only=True):
    """A proxy of the layered configuration, which has no registry: it belongs to one place."""

    type: ProxyKind
    host: str
    port: int
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"LayeredProxy({self.type}://{self.host}:{self.port})"


class ProxyLogRow(Struct, frozen=True, kw_only=True):
    """One request through a proxy. `proxy_id` is None for one that is not of the registry."""

    id: str
    timestamp_ms: int
    status: Literal["success", "error", "timeout"]
    proxy_id: str | None
    proxy_type: str
    proxy_host: str
    proxy_port: int
    level: str
    level_id: str | None = None
    provider: str | None = None
    target_url: str | None = None
    public_ip: str | None = None
    latency_ms: int = 0
    error: str | None = None
    connection_id: str | None = None
    combo_id: str | None = None
    account: str | None = None


class ProxyCounts(Struct, frozen=True, kw_only=True):
    """What came of a proxy's requests in a window of time."""

    requests: int = 0
    successes: int = 0
    errors: int = 0
    timeouts: int = 0
    avg_latency_ms: float | None = None
    last_seen_ms: int | None = None
