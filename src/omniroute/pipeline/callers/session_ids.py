"""Which session a request belongs to: the one its client names, else one its beginning gives."""

import hashlib
from collections.abc import Mapping

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text, Tool

_HEADERS = ("x-session-id", "x_session_id", "x-omniroute-session", "session-id")
_NAMED = "ext:"
_LONGEST_NAME = 64


def session_id_of(caller: Caller, request: ChatRequest, headers: Mapping[str, str]) -> str | None:
    """The session of a request (05 §6.1): named in a header, established by its door (an MCP
    session, an A2A context), or the fingerprint of its beginning."""
    for header in _HEADERS:
        named = headers.get(header, "").strip()[:_LONGEST_NAME]
        if named:
            return _NAMED + named
    return caller.session_id or fingerprint(request)


def names_of(session: str | None) -> tuple[str, ...]:
    """What a session is called: as it is shown, and as its client calls it."""
    if session is None:
        return ()
    bare = session.removeprefix(_NAMED)
    return (session,) if bare == session else (session, bare)


def fingerprint(request: ChatRequest) -> str | None:
    """16 hex digits that stay the same while a conversation grows; None for an empty request."""
    system = next((one for one in request.messages if one.role == "system"), None)
    user = next((one for one in request.messages if one.role == "user"), None)
    parts = [request.model, *(_digest(_text(one)) for one in (system, user) if one is not None)]
    tools = sorted(tool.name for tool in request.tools if isinstance(tool, Tool))
    if tools:
        parts.append(_digest("\n".join(tools)))
    if not any(parts):
        return None
    return _digest("|".join(parts), 16)


def _text(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


def _digest(text: str, digits: int = 8) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:digits]
