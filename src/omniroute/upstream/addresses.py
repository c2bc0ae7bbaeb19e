"""Which addresses the gateway may connect to: pure rules over resolved IP addresses.

Sources: IANA special-purpose address registries; RFC 6052 (NAT64), 3056 (6to4), 4380 (Teredo),
5214 (ISATAP); the metadata addresses of the large clouds
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
https://cloud.google.com/compute/docs/metadata/querying-metadata,
https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm,
https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/,
https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata).
"""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_NEVER = tuple(
    ip_network(net)
    for net in (
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "fe80::/10",
        "fd00:ec2::/32",  # AWS metadata over IPv6
        "fd20:ce::254/128",  # Google Cloud metadata over IPv6
        "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud metadata over IPv6
        "fd00:42::42/128",  # Scaleway metadata over IPv6
        "192.0.0.192/32",  # Oracle Cloud metadata
        "100.100.100.200/32",  # Alibaba Cloud metadata
        "168.63.129.16/32",  # Azure's host agent
        "0.0.0.0/8",
        "224.0.0.0/4",
        "ff00::/8",
        "255.255.255.255/32",
    )
)
# What `is_global` of some Python versions takes for public: retired site-local, local NAT64,
# protocol assignments, relays of 6to4, documentation, segment routing, Teredo.
_NOT_PUBLIC = tuple(
    ip_network(net)
    for net in (
        "fec0::/10",
        "64:ff9b:1::/48",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "3fff::/20",
        "5f00::/16",
        "2001::/32",
    )
)
# IPv4-compatible, -mapped and -translated, and NAT64: the last 32 bits are an IPv4 address.
_WITH_IPV4_LAST = tuple(
    IPv6Network(net)
    for net in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
# These are nothing but another spelling of the IPv4 address inside.
_SPELLINGS = _WITH_IPV4_LAST[:4]
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
    }
)
"""Names under which clouds answer for their metadata, to whoever resolves them there."""

NEVER = "link-local, metadata and multicast addresses are never called"
PRIVATE = "private and loopback addresses are not called unless the operator allows it"


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Why `address` (an IP literal) must not be connected to, or None when it may.

    Metadata, link-local and multicast addresses are refused whatever the setting. The rule
    looks through IPv4-mapped, 6to4, NAT64, Teredo and ISATAP forms at the IPv4 address inside.
    """
    ip = ip_address(address.split("%", 1)[0])
    every = [*_inside(ip), ip]
    if any(_is_never(one) for one in every):
        return NEVER
    if allow_private:
        return None
    # 6to4 and the spellings lead to the IPv4 address and nowhere else.
    judged = every[:-1] if _stands_for_ipv4(ip) else every
    return None if all(map(_is_public, judged)) else PRIVATE


def literal(host: str) -> str | None:
    """The IP address a host is, however it is written (`127.1`, `0x7f000001`, `017700000001`,
    `2130706433`, `[::1]`); None for a name."""
    text = host.strip("[]")
    try:
        return str(ip_address(text.split("%", 1)[0]))
    except ValueError:
        pass
    try:
        return str(IPv4Address(socket.inet_aton(text.rstrip("."))))
    except (OSError, ValueError):
        return None


def host_refusal(host: str, *, allow_private: bool) -> str | None:
    """The same for a host as it is written, of which only a proxy will know the address."""
    address = literal(host)
    if address is not None:
        return refusal(address, allow_private=allow_private)
    name = host.rstrip(".").lower()
    if name in METADATA_NAMES:
        return NEVER
    if not allow_private and (name == "localhost" or name.endswith(".localhost")):
        return PRIVATE
    return None


def _is_never(ip: Address) -> bool:
    return ip.is_unspecified or any(ip in net for net in _NEVER)


def _is_public(ip: Address) -> bool:
    return ip.is_global and not any(ip in net for net in _NOT_PUBLIC)


def _stands_for_ipv4(ip: Address) -> bool:
    if not isinstance(ip, IPv6Address) or ip.is_loopback:
        return False
    return ip.sixtofour is not None or any(ip in net for net in _SPELLINGS)


def _inside(ip: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that packets to an IPv6 address end at."""
    if not isinstance(ip, IPv6Address) or ip.is_loopback:
        return
    if ip.sixtofour is not None:
        yield ip.sixtofour
    if ip.teredo is not None:
        yield from ip.teredo
    last = IPv4Address(int(ip) & 0xFFFFFFFF)
    is_isatap = (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP
    if is_isatap or any(ip in net for net in _WITH_IPV4_LAST):
        yield last
