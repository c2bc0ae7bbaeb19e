"""An outbound proxy as the gate knows it, why it was chosen, and what came of using it."""

from typing import Literal, TypeAlias

from msgspec import Struct

ProxyType: TypeAlias = Literal["http", "https", "socks5"]
Level: TypeAlias = Literal["account", "key", "combo", "provider", "global", "direct", "test"]
Outcome: TypeAlias = Literal["success", "error", "timeout"]


class OutboundProxy(Struct, frozen=True, kw_only=True):
    """Where to connect instead of to the upstream itself.

    `https` is an HTTP proxy that is itself spoken to over TLS. Empty credentials are none.
    `allow_private` lets the proxy sit on a private address; it says nothing about targets.
    """

    type: ProxyType
    host: str
    port: int
    username: str = ""
    password: str = ""
    allow_private: bool = False

    @property
    def place(self) -> str:
        """The proxy as people may read it, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.type}://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"OutboundProxy({self.place})"


class Via(Struct, frozen=True, kw_only=True):
    """A proxy for one account or provider, and the rule that chose it.

    `problem` says why it cannot be used; a request is then refused, never sent directly.
    `passing` marks a proxy whose connections are not kept for later.
    """

    proxy: OutboundProxy
    level: Level
    level_id: str | None = None
    proxy_id: str | None = None
    provider: str | None = None
    connection_id: str | None = None
    account: str | None = None
    combo_id: str | None = None
    problem: str | None = None
    passing: bool = False


class ProxyUse(Struct, frozen=True, kw_only=True):
    """One request through a proxy, up to the upstream's headers. `origin` is where it went."""

    via: Via
    origin: str
    outcome: Outcome
    latency_ms: int
    error: str | None = None
