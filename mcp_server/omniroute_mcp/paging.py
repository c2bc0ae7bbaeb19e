"""Pages of lists: opaque cursors that name the list and the place in it."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

ItemT = TypeVar("ItemT")

PAGE = 50


def page(name: str, items: Sequence[ItemT], cursor: str | None) -> tuple[list[ItemT], str | None]:
    """The page a cursor names, the first without one, and the cursor of the next.

    Raises:
        MCPError: the cursor is not one of this list.
    """
    start = _offset(name, cursor, len(items))
    after = start + PAGE
    return list(items[start:after]), _cursor(name, after) if after < len(items) else None


def _cursor(name: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{name}:{offset}".encode()).decode()


def _offset(name: str, cursor: str | None, length: int) -> int:
    if cursor is None:
        return 0
    try:
        named, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        offset = int(number)
    except (binascii.Error, UnicodeError, ValueError):
        named, offset = "", -1
    if named != name or not 0 <= offset < length:
        raise MCPError(code=INVALID_PARAMS, message="The cursor is not valid.")
    return offset
