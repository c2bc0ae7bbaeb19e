"""Which outbound proxy a request goes through: one pure function over what is configured.

The order is that of 02 §23.4: the registry from account to global, the layered configuration from
account to global, the environment, and only where nobody says anything the direct way.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from omniroute.routing.environment_proxies import EnvironmentProxies
from omniroute.storage.records.configuration import Combo, Connection
from omniroute.storage.records.proxies import GLOBAL, LayeredProxy, Proxy, ProxyAssignment, Scope
from omniroute.upstream.proxies import Level, OutboundProxy, Via

Source: TypeAlias = Literal["registry", "config", "environment"]

SOCKS_OFF = (
    "The configured proxy is a SOCKS5 one, and those are switched off. Set enableSocks5Proxy, and "
    "ENABLE_SOCKS5_PROXY where it is set to false."
)


class Outbound(Struct, frozen=True, kw_only=True):
    """Everything that is configured about proxies.

    `layers` are by level and id, with an empty id for `global`. `socks5` says whether such proxies
    may be used, `allow_private` whether operators may put proxies on private addresses.
    """

    proxies: tuple[Proxy, ...] = ()
    assignments: tuple[ProxyAssignment, ...] = ()
    layers: Mapping[tuple[str, str], LayeredProxy] = {}
    environment: EnvironmentProxies = EnvironmentProxies()
    socks5: bool = True
    allow_private: bool = True


class Resolution(Struct, frozen=True, kw_only=True):
    """The proxy that was found, and where. The environment is not among the sources: what it says
    depends on the address."""

    proxy: Proxy | LayeredProxy
    level: Level
    level_id: str | None
    source: Source


class Route(Struct, frozen=True, kw_only=True):
    """The way out for one account or provider.

    `via` is what is configured; where that is None, `environment` has its say by address, and
    `otherwise` is whose request it is then.
    """

    via: Via | None = None
    source: Source | None = None
    environment: EnvironmentProxies | None = None
    otherwise: Callable[[OutboundProxy], Via] | None = None

    def to(self, url: str) -> Via | None:
        """What a request to `url` goes through; None goes directly."""
        if self.via is not None or self.environment is None or self.otherwise is None:
            return self.via
        found = self.environment.proxy_for(url)
        return None if found is None else self.otherwise(found)


DIRECT = Route()


def resolve(
    outbound: Outbound, account: Connection | None, provider: str | None, combo: Combo | None
) -> Resolution | None:
    """The first configured proxy for a request.

    Args:
        account: whose request it is; None for requests of nobody's account.
        combo: the one the request runs in; what other combos have is nothing to it.
    """
    chosen = {(row.scope, row.scope_id): row.proxy_id for row in outbound.assignments}
    active = {row.id: row for row in outbound.proxies if row.status == "active"}
    scopes: tuple[tuple[Scope, str | None], ...] = (
        ("account", account.id if account is not None else None),
        ("provider", provider),
        ("combo", combo.id if combo is not None else None),
        ("global", GLOBAL),
    )
    for scope, scope_id in scopes:
        proxy = active.get(chosen.get((scope, scope_id or ""), ""))
        if proxy is not None:
            told = None if scope == "global" else scope_id
            return Resolution(proxy=proxy, level=scope, level_id=told, source="registry")
    levels: tuple[tuple[Level, tuple[str | None, ...]], ...] = (
        ("key", (account.id if account is not None else None,)),
        ("combo", (combo.id, combo.name) if combo is not None else ()),
        ("provider", (provider,)),
        ("global", ("",)),
    )
    for level, ids in levels:
        for id_ in ids:
            layer = outbound.layers.get((level, id_)) if id_ is not None else None
            if layer is not None:
                return Resolution(proxy=layer, level=level, level_id=id_ or None, source="config")
    return None


class Proxying:
    """The ways out of one snapshot. Each is worked out once; after that it is one lookup.

    Args:
        combos: those that exist, by name.
        at_home: providers that are model servers of this machine. What is global is not for them:
            no proxy elsewhere would find them.
    """

    def __init__(
        self, outbound: Outbound, combos: Mapping[str, Combo], at_home: Iterable[str] = ()
    ) -> None:
        self.outbound = outbound
        self._combos = combos
        self._at_home = frozenset(at_home)
        nothing = not outbound.assignments and not outbound.layers
        self._is_silent = nothing and outbound.environment.is_silent
        self._routes: dict[tuple[str | None, str | None, str | None], Route] = {}

    def __eq__(self, other: object) -> bool:
        """Whether the ways are the same, however many of them were asked for so far."""
        return isinstance(other, Proxying) and self._given == other._given

    __hash__ = None  # type: ignore[assignment]  # like the snapshot it belongs to

    @property
    def _given(self) -> tuple[object, ...]:
        return self.outbound, self._combos, self._at_home

    def route(self, account: Connection, combo: str | None = None) -> Route:
        """The way out for an account, in a combo or by itself."""
        if self._is_silent:
            return DIRECT
        key = (account.id, account.provider, combo)
        return self._routes.get(key) or self._worked_out(key, account)

    def of_provider(self, provider: str | None) -> Route:
        """The way out for a provider without an account; for None, what is for everything."""
        if self._is_silent:
            return DIRECT
        key = (None, provider, None)
        return self._routes.get(key) or self._worked_out(key, None)

    @property
    def in_use(self) -> frozenset[OutboundProxy]:
        """Every proxy some request may go through."""
        outbound = self.outbound
        named = {row.proxy_id for row in outbound.assignments}
        rows: list[Proxy | LayeredProxy] = [
            *(row for row in outbound.proxies if row.id in named and row.status == "active"),
            *outbound.layers.values(),
        ]
        return frozenset(map(self.outbound_proxy, rows)) | outbound.environment.proxies

    def outbound_proxy(self, row: Proxy | LayeredProxy) -> OutboundProxy:
        """A proxy as the gate takes it."""
        return OutboundProxy(
            type=row.type,
            host=row.host,
            port=row.port,
            username=row.username,
            password=row.password,
            allow_private=self.outbound.allow_private,
        )

    def _worked_out(
        self, key: tuple[str | None, str | None, str | None], account: Connection | None
    ) -> Route:
        _, provider, combo = key
        found = resolve(self.outbound, account, provider, self._combos.get(combo or ""))
        is_home = provider in self._at_home
        runs_in = self._combos.get(combo or "")

        def via(proxy: OutboundProxy, **more: Any) -> Via:
            return Via(
                proxy=proxy,
                provider=provider,
                connection_id=account.id if account is not None else None,
                account=account.name if account is not None else None,
                combo_id=runs_in.id if runs_in is not None else None,
                problem=self.problem(proxy),
                **more,
            )

        if found is not None and not (is_home and found.level == "global"):
            chosen = via(
                self.outbound_proxy(found.proxy),
                level=found.level,
                level_id=found.level_id,
                proxy_id=found.proxy.id if isinstance(found.proxy, Proxy) else None,
            )
            route = Route(via=chosen, source=found.source)
        elif is_home:
            route = DIRECT
        else:
            route = Route(
                environment=self.outbound.environment, otherwise=partial(via, level="global")
            )
        self._routes[key] = route
        return route

    def problem(self, proxy: OutboundProxy) -> str | None:
        """Why a proxy cannot be used."""
        return SOCKS_OFF if proxy.type == "socks5" and not self.outbound.socks5 else None


SILENT = Proxying(Outbound(), {})
"""Nothing is configured."""
