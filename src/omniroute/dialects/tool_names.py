"""Tool names and call ids an upstream accepts, and the way back to what the client wrote."""

import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from omniroute.chat import ChatRequest, Tool, ToolCall

NO_NAMES: Mapping[str, str] = MappingProxyType({})
"""Nothing was renamed."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")


def plain_name(name: str) -> str:
    """A name in the characters most upstreams accept."""
    return _FORBIDDEN.sub("_", name)


def wire_names(
    request: ChatRequest, max_chars: int, clean: Callable[[str], str] = plain_name
) -> dict[str, str]:
    """Names that have to change: what the client wrote to what the upstream gets.

    `clean` leaves a name alone that the upstream accepts but for its length.

    Covers declared tools, the tool choice and calls in the history. A pure function of the
    request, so that encoding it and decoding its reply agree without a shared memory.
    """
    wanted = [tool.name for tool in request.tools if isinstance(tool, Tool)]
    wanted += [p.name for m in request.messages for p in m.parts if isinstance(p, ToolCall)]
    if request.tool_choice is not None and request.tool_choice.name:
        wanted.append(request.tool_choice.name)
    names = dict.fromkeys(wanted)
    kept = {name for name in names if name and len(name) <= max_chars and clean(name) == name}
    renamed: dict[str, str] = {}
    taken = set(kept)
    for name in names:
        if name and name not in kept:
            renamed[name] = _renamed(name, clean(name), max_chars, taken)
            taken.add(renamed[name])
    return renamed


def original_names(renamed: Mapping[str, str]) -> Mapping[str, str]:
    """The way back: what the upstream says to what the client wrote."""
    return {wire: name for name, wire in renamed.items()} if renamed else NO_NAMES


def wire_id(call_id: str) -> str:
    """A call id in characters every upstream accepts."""
    return _FORBIDDEN.sub("_", call_id)


def _renamed(name: str, plain: str, max_chars: int, taken: set[str]) -> str:
    if len(plain) <= max_chars and plain not in taken:
        return plain
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    # More digits only when two long names agree in the first eight.
    for digits in range(8, len(digest) + 1, 8):
        candidate = f"{plain[: max(0, max_chars - digits - 1)]}_{digest[:digits]}"[-max_chars:]
        if candidate not in taken:
            return candidate
    raise AssertionError("two names share a SHA-256 digest")
