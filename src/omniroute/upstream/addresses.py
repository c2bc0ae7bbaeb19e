"""Which addresses the gateway may connect to: pure rules over resolved IP addresses.

Sources: IANA special-purpose address registries; the metadata addresses of the large clouds
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
https://cloud.google.com/compute/docs/metadata/querying-metadata,
https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata).
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_NEVER = tuple(
    ip_network(net)
    for net in (
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "fe80::/10",
        "fd00:ec2::/32",  # AWS metadata over IPv6
        "fd20:ce::254/128",  # Google Cloud metadata over IPv6
        "100.100.100.200/32",  # Alibaba Cloud metadata
        "168.63.129.16/32",  # Azure's host agent
        "0.0.0.0/8",
        "224.0.0.0/4",
        "ff00::/8",
        "255.255.255.255/32",
    )
)
# What `is_global` of some Python versions takes for public: retired site-local, local NAT64.
_NOT_PUBLIC = (ip_network("fec0::/10"), ip_network("64:ff9b:1::/48"))
# IPv4-compatible, -mapped and -translated, and NAT64: the last 32 bits are an IPv4 address.
_WITH_IPV4_INSIDE = tuple(
    IPv6Network(net) for net in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Why `address` (an IP literal) must not be connected to, or None when it may.

    Metadata, link-local and multicast addresses are refused whatever the setting. The rule
    looks through IPv4-mapped, 6to4 and NAT64 forms at the IPv4 address inside.
    """
    ip = _unwrap(ip_address(address.split("%", 1)[0]))
    if ip.is_unspecified or any(ip in net for net in _NEVER):
        return "link-local, metadata and multicast addresses are never called"
    if allow_private or (ip.is_global and not any(ip in net for net in _NOT_PUBLIC)):
        return None
    return "private and loopback addresses are not called unless the operator allows it"


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if not isinstance(ip, IPv6Address) or ip.is_loopback:
        return ip
    if ip.sixtofour is not None:
        return ip.sixtofour
    if any(ip in net for net in _WITH_IPV4_INSIDE):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
