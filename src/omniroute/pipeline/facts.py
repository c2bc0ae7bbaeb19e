"""What the planner is told about a request: its model, its limits, its session and its tags."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from omniroute.chat import ChatRequest, Text
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.targets import Asked, RouteFacts

Affinity: TypeAlias = Literal["off", "explicit", "always"]

_SESSION_HEADERS = ("x-codex-session-id", "x-session-id", "x-omniroute-session")
_SESSION_FIELDS = ("conversation_id", "session_id", "prompt_cache_key")
_LONGEST_READ = 4_096
_PLAIN = re.compile(r"[\w.:@-]{1,180}")
_IN_USER_ID = re.compile(r"session_([\w-]{8,})$")
"""Claude Code names its session at the end of `metadata.user_id`."""


def facts_of(call: ChatCall, affinity: Affinity, *, conversations: bool = False) -> RouteFacts:
    """The facts of a call.

    Args:
        affinity: which sessions stick to an account: none, those the client names, or all.
        conversations: whether somebody asks for the name of the conversation, too.
    """
    metadata = _metadata(call.request)
    return RouteFacts(
        model=call.model,
        allowed_models=call.caller.allowed_models,
        allowed_connections=call.caller.allowed_connections,
        pinned_connection=call.pinned_connection,
        session=session_of(call, affinity),
        auto_resolve=call.caller.auto_resolve,
        conversation=session_of(call, "always") if conversations else None,
        tags=_tags(metadata.get("tags")),
        all_tags=(metadata.get("tag_match_mode") or metadata.get("tagMatchMode")) == "all",
        asked=Asked(task=call.task),
    )


def session_of(call: ChatCall, affinity: Affinity) -> str | None:
    """The name under which a conversation sticks to its account, kept apart by caller. 05 §6.2."""
    if affinity == "off":
        return None
    named = _named(call)
    if named is None and affinity == "always":
        text = _first_user_text(call.request)
        named = ("text", text) if text else None
    if named is None:
        return None
    source, value = named
    if not _PLAIN.fullmatch(value):
        value = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:32]
    return f"{call.caller.owner}:{source}:{value}"


def _named(call: ChatCall) -> tuple[str, str] | None:
    """The session a client names, and where it named it."""
    for header in _SESSION_HEADERS:
        if call.headers.get(header):
            return "header", call.headers[header]
    metadata = _metadata(call.request)
    extras = call.request.extras.fields if call.request.extras is not None else {}
    for field, holder in (
        *(("session_id", metadata), ("sessionId", metadata)),
        *((field, extras) for field in _SESSION_FIELDS),
    ):
        value = holder.get(field)
        if isinstance(value, str) and value:
            return "body", value
    in_user = _IN_USER_ID.search(call.request.user or "")
    if in_user is not None:
        return "user", in_user.group(1)
    return ("caller", call.caller.session_id) if call.caller.session_id else None


def _metadata(request: ChatRequest) -> Mapping[str, Any]:
    found = request.extras.fields.get("metadata") if request.extras is not None else None
    return found if isinstance(found, dict) else {}


def _tags(written: Any) -> tuple[str, ...]:
    """Tags as a list or as words between commas."""
    words = written.split(",") if isinstance(written, str) else written
    if not isinstance(words, list):
        return ()
    return tuple(dict.fromkeys(str(word).strip().lower() for word in words if str(word).strip()))


def _first_user_text(request: ChatRequest) -> str:
    for message in request.messages:
        if message.role == "user":
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            return "\n".join(texts)[:_LONGEST_READ]
    return ""
