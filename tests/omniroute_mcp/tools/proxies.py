"""Examples of tools about outbound proxies."""

from typing import Any

from tests.omniroute_mcp.tools.example import OPERATOR, Example

from omniroute.engine import Engine
from omniroute.operations.proxies.proxies import create_proxy
from omniroute.operations.proxies.proxy_inputs import ProxyInput


async def registered(engine: Engine) -> dict[str, Any]:
    """Two proxies, one of them in a country."""
    for name, region in (("here", None), ("there", "de")):
        new = ProxyInput(name=name, type="http", host="192.0.2.1", port=8_080, region=region)
        await create_proxy(engine, OPERATOR, new)
    return {}


EXAMPLES = {
    "omniroute_oneproxy_fetch": Example(
        "R O",
        works={"protocol": "http", "countryCode": "DE", "limit": 1},
        fails={"protocol": "sock5"},
        text=(
            "Error: protocol: must be one of: 'http', 'https', 'socks4', 'socks5'. "
            "Did you mean 'socks5'?"
        ),
        before=registered,
        gives={"total": 1},
    ),
    "omniroute_oneproxy_rotate": Example(
        "W",
        works={"strategy": "quality"},
        fails={"strategy": "best"},
        text="Error: strategy: must be one of: 'quality', 'random', 'sequential'",
        before=registered,
        gives={"host": "192.0.2.1", "port": 8_080, "type": "http", "qualityScore": None},
    ),
    "omniroute_oneproxy_stats": Example(
        "R I",
        works={},
        before=registered,
        gives={
            "stats": {
                "total": 2,
                "active": 2,
                "avgQuality": None,
                "lastValidated": None,
                "byProtocol": [{"protocol": "http", "count": 2}],
                "byCountry": [{"countryCode": "DE", "count": 1}],
            },
            "status": {
                "lastSyncSuccess": False,
                "lastSyncError": None,
                "lastSyncAt": None,
                "lastSyncCount": 0,
                "consecutiveFailures": 0,
            },
        },
    ),
}
