"""Who may reach which route: classes of routes, what counts as local, and operators. 02 §2."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs

from msgspec.structs import replace

from omniroute.caller import Caller, run_named
from omniroute.errors import Forbidden, InvalidRequest, Unauthenticated
from omniroute.http.paths import OLLAMA_PATHS
from omniroute.pipeline.callers.admission import RUN_HEADER, Admission, bearer
from omniroute.routing.snapshot import Snapshot

RouteClass: TypeAlias = Literal["PUBLIC", "CLIENT_API", "MANAGEMENT"]
Scope: TypeAlias = Mapping[str, Any]

_PUBLIC_READS = ("/api/monitoring/health",)
_PUBLIC = ("/health", "/docs", "/openapi.json", "/.well-known", "/a2a")
_CLIENT = ("/v1", "/v1beta", *OLLAMA_PATHS)
MANAGED = ("/v1/management",)
"""Management that is classed as a model API; its handlers ask for an operator."""
_HOST = re.compile(r"(?P<name>\[[^\[\]]*\]|[^:\[\]]*)(?::\d*)?")
_FORWARDING = ("cf-connecting-ip", "x-forwarded-for", "x-real-ip", "forwarded")


def route_class(path: str, method: str) -> RouteClass:
    """The class of a canonical path. What nothing else claims is management: closed by default."""
    reads = method in ("GET", "HEAD", "OPTIONS")
    if path == "/" or is_under(path, _PUBLIC) or (reads and is_under(path, _PUBLIC_READS)):
        return "PUBLIC"
    return "CLIENT_API" if is_under(path, _CLIENT) else "MANAGEMENT"


def is_for_operators(path: str, method: str) -> bool:
    """Whether only operators may know what is at a path: all of management, and what of it lies
    among the model APIs (02 §2.3)."""
    return route_class(path, method) == "MANAGEMENT" or is_under(path, MANAGED)


def is_under(path: str, prefixes: Sequence[str]) -> bool:
    """Whether a path is one of `prefixes` or below it."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def headers_of(scope: Scope) -> dict[str, str]:
    """Request headers by lower-case name; the first of several wins."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def is_local_address(address: str, trusted: Sequence[str] = ()) -> bool:
    """Whether an address is this machine's own, or of a network the operator calls local."""
    try:
        ip = ip_address(address.strip().strip("[]"))
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    return ip.is_loopback or any(ip in ip_network(network, strict=False) for network in trusted)


def is_loopback(scope: Scope, trusted: Sequence[str] = ()) -> bool:
    """Whether a request really comes from this machine (02 §2.6).

    The peer alone is not enough: tunnels connect from loopback, so the Host must name this
    machine too, and no forwarding header may name another.
    """
    client = scope.get("client")
    if client is None or not is_local_address(client[0], trusted):
        return False
    headers = headers_of(scope)
    if not _is_local_host(headers.get("host", "")):
        return False
    forwarded = (headers[name] for name in _FORWARDING if name in headers)
    return all(_names_only_local(value, trusted) for value in forwarded)


def _is_local_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and (
        found["name"].lower() == "localhost" or is_local_address(found["name"])
    )


def _names_only_local(value: str, trusted: Sequence[str]) -> bool:
    for entry in value.split(","):
        for pair in entry.split(";"):
            name, separator, text = pair.strip().partition("=")
            if separator and name.lower() != "for":
                continue
            address = (text if separator else pair).strip().strip('"')
            if not is_local_address(address, trusted):
                return False
    return True


def client_address(scope: Scope, proxies: Sequence[str] = ()) -> str | None:
    """Where a request comes from (02 §2.6); None when nobody knows.

    Forwarding headers are believed from this machine and from `proxies` only, and of a list only
    what they added themselves: whatever stands further left its client may have made up.
    """
    client = scope.get("client")
    peer: str | None = client[0] if client is not None else None
    if peer is None or not is_local_address(peer, proxies):
        return peer
    every = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    for entry in reversed(b",".join(every).decode("latin-1").split(",")):
        if entry.strip() and not is_local_address(entry, proxies):
            return entry.strip()
    headers = headers_of(scope)
    named = (headers.get(name, "").strip() for name in ("cf-connecting-ip", "x-real-ip"))
    return next(filter(None, named), peer)


@dataclass(frozen=True, slots=True)
class Access:
    """Decides who a request's author is, by the class of its route.

    `trusted_local` are networks whose peers count as this machine (container gateways).
    `may_read` says whether the operator lets a browser origin use the gateway. `proxies` are
    networks whose peers are believed when they say for whom they ask.
    """

    admission: Admission
    trusted_local: tuple[str, ...] = ()
    may_read: Callable[[str], bool] = lambda _origin: False
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_networks("OMNIROUTE_TRUSTED_LOCAL_CIDRS", self.trusted_local)
        _require_networks("OMNIROUTE_TRUSTED_PROXIES", self.proxies)

    def client(self, scope: Scope, snapshot: Snapshot) -> Caller:
        """The caller of a model API.

        Raises:
            Unauthenticated: a key is required.
            Forbidden: the key is switched off, banned or expired, or may not be used now or
                from there.
        """
        headers = headers_of(scope)
        key, address = presented_key(scope), self.address_of(scope)
        caller = self.admission.caller(snapshot, "http", key, address)
        if caller.key_id is None:
            self._require_own_origin(headers)
        run = run_named(headers.get(RUN_HEADER), headers.get("traceparent"))
        return caller if run is None else replace(caller, run_id=run)

    def operator(self, scope: Scope, snapshot: Snapshot) -> Caller:
        """The caller of a management route: this machine's user, or a key that may manage.

        Raises:
            Unauthenticated: neither.
            Forbidden: a key that may not manage.
        """
        known = self._operator(scope, snapshot)
        return replace(
            known, address=self.address_of(scope), request_id=scope["state"]["request_id"]
        )

    def _operator(self, scope: Scope, snapshot: Snapshot) -> Caller:
        headers = headers_of(scope)
        key = bearer(headers)
        if key is not None:
            try:
                known = self.admission.keyed_caller(snapshot, "http", key, self.address_of(scope))
            except Unauthenticated:
                known = None
            if known is not None and known.is_operator:
                return known
        if self.is_local(scope):
            self._require_own_origin(headers)
            return Caller(door="http", is_operator=True)
        if key is not None:
            raise Forbidden(
                "This API key may not manage the gateway; it needs the scope 'manage'.",
                code="AUTH_001",
            )
        raise Unauthenticated(
            "Managing the gateway from another machine needs an API key with the scope 'manage'.",
            code="AUTH_001",
        )

    def _require_own_origin(self, headers: Mapping[str, str]) -> None:
        """A page of some other site can make a browser send requests here. Without a key, such
        a request has nothing to show for itself but the place it came from."""
        origin = headers.get("origin")
        if origin is None or self.may_read(origin):
            return
        if not _is_local_host(origin.partition("://")[2]):
            raise Forbidden(
                f"Pages of {origin} may not use the gateway without an API key. Allow the origin "
                "with CORS_ALLOWED_ORIGINS.",
                code="origin_not_allowed",
            )

    def address_of(self, scope: Scope) -> str | None:
        """Where a request comes from; None when nobody knows."""
        return client_address(scope, self.proxies)

    def is_local(self, scope: Scope) -> bool:
        """Whether the request comes from this machine."""
        return is_loopback(scope, self.trusted_local)


def _require_networks(variable: str, networks: Sequence[str]) -> None:
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise InvalidRequest(
                f"'{network}' is not a network. Set {variable} to networks such as "
                "172.17.0.0/16, by comma."
            ) from error


def presented_key(scope: Scope) -> str | None:
    """The key a client of the model APIs presented (01 §2.2.1)."""
    headers = headers_of(scope)
    if is_under(scope["path"], ("/v1beta",)) and "authorization" not in headers:
        named = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])
        return (headers.get("x-goog-api-key") or named[0]).strip() or None
    if "anthropic-version" in headers and "authorization" not in headers:
        # Without that header an x-api-key is some local client's placeholder.
        return headers.get("x-api-key", "").strip() or None
    return bearer(headers)
