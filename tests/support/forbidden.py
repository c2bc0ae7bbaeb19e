"""Addresses no outbound request may reach, for tables over every URL somebody can set."""

FORBIDDEN = {
    "AWS, Azure, GCP metadata": "http://169.254.169.254/latest",
    "metadata in decimal": "http://2852039166/",
    "metadata in hex": "http://0xa9fea9fe/",
    "metadata, IPv6 mapped": "http://[::ffff:a9fe:a9fe]/",
    "metadata in 6to4": "http://[2002:a9fe:a9fe::1]/",
    "metadata behind NAT64": "http://[64:ff9b::a9fe:a9fe]/",
    "AWS metadata, IPv6": "http://[fd00:ec2::254]/",
    "Alibaba metadata": "http://100.100.100.200/",
    "Azure's host agent": "http://168.63.129.16/",
    "link-local": "http://[fe80::1]/",
    "unspecified": "http://0.0.0.0/",
    "unspecified, IPv6": "http://[::]/",
    "multicast": "http://224.0.0.1/",
    "broadcast": "http://255.255.255.255/",
}
"""Never, whatever the operator allows."""

PRIVATE = {
    "loopback": "http://127.0.0.1:{port}/",
    "loopback by name": "http://localhost:{port}/",
    "loopback in hex": "http://0x7f000001:{port}/",
    "loopback in octal": "http://0177.0.0.1:{port}/",
    "loopback in decimal": "http://2130706433:{port}/",
    "loopback, short": "http://127.1:{port}/",
    "loopback, IPv6": "http://[::1]:{port}/",
    "loopback, mapped": "http://[::ffff:127.0.0.1]:{port}/",
    "class A": "http://10.0.0.1:{port}/",
    "class B": "http://172.16.0.1:{port}/",
    "class C": "http://192.168.0.1:{port}/",
    "carrier's own": "http://100.64.0.1:{port}/",
    "unique local": "http://[fd12::1]:{port}/",
}
"""Not where the operator has not allowed private addresses. `{port}` is of a server on loopback
that must hear nothing."""
