"""What a translation leaves behind on purpose, in words for the decision trace."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from omniroute.chat import ChatRequest, Dialect, Extras, HostedTool, Opaque, Reasoning, ToolResult

CACHE_MARK = "cache_control"


def left_behind(request: ChatRequest, target: Dialect) -> tuple[str, ...]:
    """State and parts of a request that mean something to another dialect than `target` only.

    One entry per kind and origin, such as `2 thinking signatures of anthropic`.
    """
    return _told(_foreign(request, target))


def without_state(request: ChatRequest) -> tuple[ChatRequest, tuple[str, ...]]:
    """The request without what only the provider that wrote it can read, and what that was.

    For providers that refuse it: of two that speak one dialect, each signs for itself.
    """
    dropped = list(_states(request))
    if not dropped:
        return request, ()
    messages = (
        replace(message, parts=tuple(part for part in message.parts if not _is_state(part)))
        for message in request.messages
    )
    kept = tuple(message for message in messages if message.parts)
    return replace(request, messages=kept), _told(dropped)


def _is_state(part: object) -> bool:
    return isinstance(part, Reasoning) and bool(part.signature or part.redacted)


def _states(request: ChatRequest) -> Iterator[tuple[str, Dialect]]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Reasoning) and _is_state(part) and part.origin is not None:
                kind = "thinking signature" if part.signature else "piece of hidden thinking"
                yield kind, part.origin


def _told(found: Iterable[tuple[str, Dialect]]) -> tuple[str, ...]:
    return tuple(
        f"{count} {kind}{'' if count == 1 else 's'} of {origin}"
        for (kind, origin), count in sorted(Counter(found).items())
    )


def _foreign(request: ChatRequest, target: Dialect) -> Iterator[tuple[str, Dialect]]:
    for message in request.messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else ()
            for one in (part, *inner):
                yield from _of_part(one, target)
        yield from _cache_mark(message.extras, target)
    for tool in request.tools:
        if isinstance(tool, HostedTool) and tool.extras.dialect is not target:
            yield "hosted tool", tool.extras.dialect
        yield from _cache_mark(tool.extras, target)
    if request.extras is not None and request.extras.dialect is not target:
        for name in request.extras.fields:
            if not name.startswith("_"):  # the gateway's own
                yield "request option", request.extras.dialect


def _of_part(part: object, target: Dialect) -> Iterator[tuple[str, Dialect]]:
    match part:
        case Reasoning(signature=signature, redacted=redacted, origin=Dialect() as origin):
            if origin is not target and (signature or redacted):
                yield "thinking signature" if signature else "piece of hidden thinking", origin
        case Opaque(extras):
            if extras.dialect is not target:
                yield "unknown part", extras.dialect
        case _:
            yield from _cache_mark(getattr(part, "extras", None), target)


def _cache_mark(extras: Extras | None, target: Dialect) -> Iterator[tuple[str, Dialect]]:
    # Anthropic targets honour the marks of every client.
    foreign = extras is not None and target not in (extras.dialect, Dialect.ANTHROPIC)
    if extras is not None and foreign and CACHE_MARK in extras.fields:
        yield "cache mark", extras.dialect
