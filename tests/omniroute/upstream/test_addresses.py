"""Which addresses may be called: every way to write an address that is not public."""

import pytest

from omniroute.upstream.addresses import host_refusal, literal, refusal

NEVER = {
    "cloud metadata": "169.254.169.254",
    "container credentials": "169.254.170.2",
    "link-local": "169.254.1.1",
    "link-local, IPv6": "fe80::1",
    "link-local with its zone": "fe80::1%eth0",
    "AWS metadata, IPv6": "fd00:ec2::254",
    "Google metadata, IPv6": "fd20:ce::254",
    "Alibaba metadata": "100.100.100.200",
    "Azure's host agent": "168.63.129.16",
    "this network": "0.0.0.0",
    "this network, another of it": "0.1.2.3",
    "unspecified, IPv6": "::",
    "multicast": "224.0.0.1",
    "multicast, IPv6": "ff02::1",
    "broadcast": "255.255.255.255",
    "metadata, mapped": "::ffff:169.254.169.254",
    "metadata, mapped in hex": "::ffff:a9fe:a9fe",
    "metadata, compatible": "::169.254.169.254",
    "metadata, translated": "::ffff:0:a9fe:a9fe",
    "metadata in 6to4": "2002:a9fe:a9fe::",
    "metadata behind NAT64": "64:ff9b::a9fe:a9fe",
    "metadata behind a NAT64 of one's own": "64:ff9b:1::a9fe:a9fe",
    "metadata at the end of Teredo": "2001:0:808:808::5601:5601",
    "Teredo over a server that is metadata": "2001:0:a9fe:a9fe::f7f7:f7f7",
    "metadata in ISATAP": "2001:db8::5efe:169.254.169.254",
    "metadata in ISATAP, global": "2606:4700::200:5efe:169.254.169.254",
    "Oracle metadata": "192.0.0.192",
    "Oracle metadata, IPv6": "fd00:c1::a9fe:a9fe",
    "Scaleway metadata, IPv6": "fd00:42::42",
    "Tencent metadata": "169.254.0.23",
    "broadcast, mapped": "::ffff:255.255.255.255",
    "multicast, mapped": "::ffff:224.0.0.1",
    "unspecified, mapped": "::ffff:0.0.0.0",
}
PRIVATE = {
    "loopback": "127.0.0.1",
    "loopback, another of it": "127.8.9.10",
    "loopback, IPv6": "::1",
    "class A": "10.0.0.1",
    "class B": "172.16.0.1",
    "class B, the last of it": "172.31.255.255",
    "class C": "192.168.1.1",
    "carrier's own": "100.64.0.1",
    "documentation": "192.0.2.1",
    "benchmarks": "198.18.0.1",
    "reserved": "240.0.0.1",
    "unique local, IPv6": "fd12:3456::1",
    "site-local, IPv6": "fec0::1",
    "documentation, IPv6": "2001:db8::1",
    "loopback, mapped": "::ffff:127.0.0.1",
    "loopback, compatible": "::127.0.0.1",
    "loopback, translated": "::ffff:0:7f00:1",
    "loopback in 6to4": "2002:7f00:1::",
    "loopback behind NAT64": "64:ff9b::7f00:1",
    "behind a NAT64 of one's own": "64:ff9b:1::808:808",
    "documentation, the second": "198.51.100.1",
    "documentation, the third": "203.0.113.1",
    "documentation, IPv6, newer": "3fff::1",
    "protocol assignments": "192.0.0.8",
    "relays of 6to4": "192.88.99.1",
    "segment routing": "5f00::1",
    "discard only": "100::1",
    "loopback at the end of Teredo": "2001:0:808:808::80ff:fffe",
    "Teredo": "2001:0:808:808::f7f7:f7f7",
    "loopback in ISATAP": "2606:4700::200:5efe:127.0.0.1",
    "private in 6to4": "2002:a00:1::1",
    "private behind NAT64": "64:ff9b::a00:1",
}
PUBLIC = {
    "IPv4": "8.8.8.8",
    "beside class B": "172.32.0.1",
    "beside the carrier's": "100.128.0.1",
    "IPv6": "2606:4700:4700::1111",
    "public, mapped": "::ffff:8.8.8.8",
    "public in 6to4": "2002:808:808::1",
    "public behind NAT64": "64:ff9b::808:808",
}


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("address", NEVER.values(), ids=NEVER)
def test_some_addresses_are_never_called(address: str, allow_private: bool) -> None:
    told = "link-local, metadata and multicast addresses are never called"
    assert refusal(address, allow_private=allow_private) == told


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE)
def test_private_addresses_need_the_operators_leave(address: str) -> None:
    refused = refusal(address, allow_private=False)
    assert refused == (
        "private and loopback addresses are not called unless the operator allows it"
    )
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("address", PUBLIC.values(), ids=PUBLIC)
def test_public_addresses_are_called(address: str, allow_private: bool) -> None:
    assert refusal(address, allow_private=allow_private) is None


LITERALS = {
    "dotted": ("127.0.0.1", "127.0.0.1"),
    "decimal": ("2130706433", "127.0.0.1"),
    "hexadecimal": ("0x7f000001", "127.0.0.1"),
    "hexadecimal by part": ("0x7f.0.0.0x1", "127.0.0.1"),
    "octal": ("017700000001", "127.0.0.1"),
    "octal by part": ("0177.0.0.01", "127.0.0.1"),
    "short": ("127.1", "127.0.0.1"),
    "with a dot at its end": ("127.0.0.1.", "127.0.0.1"),
    "metadata in decimal": ("2852039166", "169.254.169.254"),
    "IPv6": ("::1", "::1"),
    "IPv6 in brackets": ("[::1]", "::1"),
    "IPv6 with its zone": ("fe80::1%eth0", "fe80::1"),
    "a name": ("api.example.com", None),
    "a name that begins like an address": ("127.0.0.1.example.com", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("host", "address"), LITERALS.values(), ids=LITERALS)
def test_an_address_is_known_however_it_is_written(host: str, address: str | None) -> None:
    assert literal(host) == address


HOSTS = {
    "metadata by name": ("metadata.google.internal", False, False),
    "metadata by name, in capitals and with a dot": ("Metadata.Google.Internal.", False, False),
    "metadata by number": ("2852039166", False, False),
    "loopback by name": ("localhost", False, True),
    "loopback below a name": ("a.localhost", False, True),
    "loopback by number": ("0x7f000001", False, True),
    "a name": ("api.example.com", True, True),
    "a public address": ("8.8.8.8", True, True),
}


@pytest.mark.parametrize(("host", "public", "private"), HOSTS.values(), ids=HOSTS)
def test_what_a_proxy_is_asked_for_is_judged_as_it_is_written(
    host: str, public: bool, private: bool
) -> None:
    assert (host_refusal(host, allow_private=False) is None) == public
    assert (host_refusal(host, allow_private=True) is None) == private
