"""The proxies of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

There is no standard. This reads them as curl and Go do: a suffix of `NO_PROXY` covers the names
below it, networks and ports count, and nothing on this machine is asked for through a proxy.
"""

from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from omniroute.errors import InvalidRequest
from omniroute.upstream.addresses import literal
from omniroute.upstream.proxies import OutboundProxy, ProxyType

_TYPES: dict[str, ProxyType] = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5",
}
_PORTS = {"http": 80, "https": 443, "socks5": 1080}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class EnvironmentProxies(Struct, frozen=True, kw_only=True):
    """What the environment says. `exempt` are the entries of `NO_PROXY`."""

    https: OutboundProxy | None = None
    http: OutboundProxy | None = None
    exempt: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether it names no proxy at all."""
        return self.https is None and self.http is None

    @property
    def proxies(self) -> frozenset[OutboundProxy]:
        """Every proxy it names."""
        return frozenset(filter(None, (self.https, self.http)))

    def proxy_for(self, url: str) -> OutboundProxy | None:
        """The proxy for an address; None goes directly."""
        scheme, _, rest = url.partition("://")
        proxy = self.https if scheme.lower() == "https" else self.http
        if proxy is None:
            return None
        try:
            parts = urlsplit(f"//{rest}")
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return proxy  # the gate says what is wrong with the address
        if _is_this_machine(host):
            return None
        port = port or _DEFAULT_PORTS.get(scheme.lower(), 0)
        return None if any(_covers(entry, host, port) for entry in self.exempt) else proxy


def read_environment(
    https: str = "", http: str = "", every: str = "", exempt: str = ""
) -> EnvironmentProxies:
    """What the variables say; `every` is `ALL_PROXY` and counts where the closer one is not set.

    Proxies of the environment may sit on private addresses: whoever starts the gateway set them.

    Raises:
        InvalidRequest: a value is no address of a proxy. Says which, not what.
    """
    return EnvironmentProxies(
        https=_read("HTTPS_PROXY" if https else "ALL_PROXY", https or every),
        http=_read("HTTP_PROXY" if http else "ALL_PROXY", http or every),
        exempt=tuple(entry.strip().lower() for entry in exempt.split(",") if entry.strip()),
    )


def _read(variable: str, text: str) -> OutboundProxy | None:
    if not text:
        return None
    # Not the value: it may hold a password.
    wrong = InvalidRequest(
        f"{variable} must be the address of a proxy, such as http://proxy.example:3128 or "
        "socks5://proxy.example:1080.",
        param=variable,
    )
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        kind, host, port = _TYPES.get(parts.scheme), parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if kind is None or not host:
        raise wrong
    return OutboundProxy(
        type=kind,
        host=host,
        port=port or _PORTS[kind],
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        allow_private=True,
    )


def _is_this_machine(host: str) -> bool:
    address = literal(host)
    if address is not None:
        return ip_address(address).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = literal(host)
    if address is not None and "/" in entry:
        try:
            return ip_address(address) in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, _, wanted = entry.rpartition(":")
    if name and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".").rstrip(".")
    if address is not None:
        return literal(entry) == address
    return host == entry or host.endswith(f".{entry}")
