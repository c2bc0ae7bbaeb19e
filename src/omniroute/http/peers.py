"""Where a request comes from: this machine, a proxy, or somewhere else (02 §2.6)."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from omniroute.errors import InvalidRequest
from omniroute.http.route_classes import is_under
from omniroute.pipeline.callers.admission import bearer

Scope: TypeAlias = Mapping[str, Any]

_HOST = re.compile(r"(?P<name>\[[^\[\]]*\]|[^:\[\]]*)(?::\d*)?")
_FORWARDING = ("cf-connecting-ip", "x-forwarded-for", "x-real-ip", "forwarded")


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
    if not is_local_host(headers.get("host", "")):
        return False
    forwarded = (headers[name] for name in _FORWARDING if name in headers)
    return all(_names_only_local(value, trusted) for value in forwarded)


def is_local_host(host: str) -> bool:
    """Whether a `Host` names this machine."""
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


def require_networks(variable: str, networks: Sequence[str]) -> None:
    """Refuse what is no network.

    Raises:
        InvalidRequest: names the variable.
    """
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
