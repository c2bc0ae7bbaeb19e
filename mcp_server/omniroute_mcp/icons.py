"""The icons of the server and its tools: small drawings that clients show beside their names."""

import base64
from collections.abc import Mapping
from functools import cache

from mcp_types import Icon

_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2563eb" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{}</svg>'
)

DRAWINGS: Mapping[str, str] = {
    "server": '<path d="M3 12h6l3-7 3 14 3-7h3"/>',
    "system": '<path d="M3 12h4l2-6 4 12 2-6h6"/>',
    "caches": '<path d="M4 6h16v4H4zM4 14h16v4H4z"/>',
    "combos": '<path d="M12 3l9 5-9 5-9-5zM3 13l9 5 9-5"/>',
    "compression": '<path d="M12 3v6l-3-3m3 3 3-3M12 21v-6l-3 3m3-3 3 3M4 12h16"/>',
    "models": '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9"/>',
    "money": '<path d="M12 3v18M16 7c-1-1.5-7-2-7 1.5S17 11 17 15s-7 3.5-9 1"/>',
    "proxies": '<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c-5 6-5 12 0 18s5-12 0-18"/>',
    "quotas": '<path d="M4 18a9 9 0 1 1 16 0M12 14l4-5"/>',
    "routing": '<path d="M4 6h6l6 12h4M20 6h-4l-2 4M4 18h6l2-4M17 3l3 3-3 3M17 15l3 3-3 3"/>',
    "search": '<circle cx="11" cy="11" r="7"/><path d="M16 16l5 5"/>',
    "memory": '<path d="M6 4h12v16l-6-4-6 4z"/>',
    "skills": '<path d="M14 6a4 4 0 0 0 5 5l-9 9-4-4 9-9"/>',
    "agents": '<circle cx="12" cy="8" r="4"/><path d="M4 21c1-5 4-7 8-7s7 2 8 7"/>',
}
"""What stands in each picture of 24 by 24, by the subject of a tool."""


@cache
def icon(subject: str) -> Icon:
    """The picture of a subject, which needs no other request."""
    drawn = base64.b64encode(_FRAME.format(DRAWINGS[subject]).encode()).decode()
    return Icon(src=f"data:image/svg+xml;base64,{drawn}", mime_type="image/svg+xml", sizes=["any"])
