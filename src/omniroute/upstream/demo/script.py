"""What each demo model does: a pure function from a request to a script of events and faults."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from omniroute.chat import (
    ChatRequest,
    Event,
    File,
    Finished,
    Image,
    ImageProduced,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    Text,
    TextDelta,
    Tool,
    ToolArgumentsDelta,
    ToolCallStarted,
    ToolResult,
    Usage,
    UsageReported,
)

Ending: TypeAlias = Literal["complete", "cut", "drop", "malformed", "error"]


class Script(Struct, frozen=True, kw_only=True):
    """One answer of the demo upstream.

    A `status` other than 200 is the whole answer. Otherwise `events` are played with
    `first_delay_s` before the first and `delay_s` before each further one, then `ending`:
    `cut` ends the body without the dialect's terminal marker, `drop` breaks the connection,
    `malformed` sends a frame no dialect knows, `error` reports an error inside the stream.
    """

    status: int = 200
    retry_after_s: int | None = None
    message: str = ""
    events: tuple[Event, ...] = ()
    first_delay_s: float = 0.0
    delay_s: float = 0.0
    ending: Ending = "complete"


_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
"""A PNG of one pixel, base64."""


def script_for(model: str, request: ChatRequest) -> Script | None:
    """The script of `model` (without `demo/`) for `request`; None for an unknown model."""
    for pattern, build in _MODELS.items():
        found = re.fullmatch(pattern, model)
        if found:
            return build(request, *(int(group) for group in found.groups() if group))
    return None


def _echo(request: ChatRequest) -> Script:
    return Script(events=_reply(request, _text_events(_fitting(request, _echoed(request)))))


def _fitting(request: ChatRequest, text: str) -> str:
    """The text, or JSON that holds it where the request wants JSON."""
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return text
    schema = wanted.schema or {"type": "object", "properties": {"text": {"type": "string"}}}
    return msgspec.json.encode(_sample(schema, text)).decode()


def _see(request: ChatRequest) -> Script:
    """Says what the request carries beside text, so that a test can see what arrived."""
    seen = [
        f"{type(part).__name__.lower()} {part.media_type} of {len(part.data)} characters"
        for message in request.messages
        for part in message.parts
        if isinstance(part, Image | File) and part.data is not None and part.media_type
    ]
    return Script(events=_reply(request, _text_events("I see " + ("; ".join(seen) or "nothing"))))


def _draw(request: ChatRequest) -> Script:
    picture = ImageProduced(Image(data=_DOT, media_type="image/png"))
    return Script(events=_reply(request, [*_text_events("A dot."), picture]))


def _tools(request: ChatRequest) -> Script:
    answers = [p for m in request.messages for p in m.parts if isinstance(p, ToolResult)]
    if answers:
        said = "; ".join(
            part.text for answer in answers for part in answer.parts if isinstance(part, Text)
        )
        return Script(events=_reply(request, _text_events(f"The tools answered: {said}")))
    offered = [tool for tool in request.tools if isinstance(tool, Tool)]
    asked = _echoed(request)
    # Naming tools in the text calls exactly those, in order; otherwise the first one is called.
    named = [tool for tool in offered if tool.name in asked]
    calls: list[Event] = []
    for index, tool in enumerate(named or offered[:1]):
        arguments = msgspec.json.encode(_sample(tool.parameters or {}, asked)).decode()
        half = len(arguments) // 2
        calls.append(ToolCallStarted(index, f"call_demo{index}", tool.name))
        calls.append(ToolArgumentsDelta(index, arguments[:half]))
        calls.append(ToolArgumentsDelta(index, arguments[half:]))
    if not calls:
        return _echo(request)
    return Script(events=_reply(request, calls, finish="tool_calls"))


def _reasoning(request: ChatRequest) -> Script:
    thought: list[Event] = [ReasoningDelta("The user said: "), ReasoningDelta(_echoed(request))]
    thought.append(ReasoningSigned("ZGVtbw=="))
    said = _text_events(_fitting(request, _echoed(request)))
    return Script(events=_reply(request, [*thought, *said]))


def _slow_start(request: ChatRequest, first_ms: int = 2_000) -> Script:
    return msgspec.structs.replace(_echo(request), first_delay_s=first_ms / 1000)


def _slow(request: ChatRequest, each_ms: int = 100) -> Script:
    return msgspec.structs.replace(_echo(request), delay_s=each_ms / 1000)


def _count(request: ChatRequest, words: int) -> Script:
    text = " ".join(str(number) for number in range(1, words + 1))
    return Script(events=_reply(request, _text_events(text)))


def _flaky(_: ChatRequest, status: int, retry_after_s: int | None = None) -> Script:
    if status == 429 and retry_after_s is None:
        retry_after_s = 2
    message = f"scripted failure with status {status}"
    return Script(status=status, retry_after_s=retry_after_s, message=message)


def _ending(ending: Ending) -> Callable[..., Script]:
    def build(request: ChatRequest, after: int = 0) -> Script:
        # Started is not counted: `cut-after-5` delivers five events that carry something.
        kept = _echo(request).events[: after + 1]
        return Script(events=kept, ending=ending, message="scripted failure in the stream")

    return build


def _empty(request: ChatRequest) -> Script:
    return Script(events=_reply(request, []))


_MODELS: Mapping[str, Callable[..., Script]] = {
    r"echo": _echo,
    r"see": _see,
    r"draw": _draw,
    r"tools": _tools,
    r"reasoning": _reasoning,
    r"slow-start(?:-(\d+))?": _slow_start,
    r"slow(?:-(\d+))?": _slow,
    r"count-(\d+)": _count,
    r"flaky-(\d{3})(?:-(\d+))?": _flaky,
    r"empty": _empty,
    r"malformed(?:-after-(\d+))?": _ending("malformed"),
    r"error(?:-after-(\d+))?": _ending("error"),
    r"cut-after-(\d+)": _ending("cut"),
    r"drop-after-(\d+)": _ending("drop"),
}


def _reply(
    request: ChatRequest,
    content: Iterable[Event],
    finish: Literal["stop", "tool_calls"] = "stop",
) -> tuple[Event, ...]:
    body = list(content)
    limit = request.max_output_tokens
    reason: Literal["stop", "tool_calls", "length"] = finish
    if limit is not None and limit < len(body):
        body, reason = body[:limit], "length"
    usage = Usage(
        input_tokens=sum(len(m.text.split()) for m in request.messages) or 1,
        output_tokens=sum(isinstance(event, TextDelta | ToolArgumentsDelta) for event in body),
        reasoning_tokens=sum(isinstance(event, ReasoningDelta) for event in body),
    )
    # Nothing of chance or of the clock: the same request gets the same bytes.
    asked = msgspec.structs.replace(request, stream=None, include_usage=False, extras=None)
    digest = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:16]
    started = Started(id=f"demo{digest}", model=f"demo/{request.model}", created_s=1_700_000_000)
    return (started, *body, Finished(reason), UsageReported(usage))


def _text_events(text: str) -> list[Event]:
    return [TextDelta(word) for word in re.findall(r"\S+\s*|\s+", text)]


def _echoed(request: ChatRequest) -> str:
    newest = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    return newest or "Nothing was said."


def _sample(schema: Mapping[str, Any], text: str) -> Any:
    """A value that fits a JSON Schema, the user's text wherever a string is wanted."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties: Mapping[str, Any] = schema.get("properties") or {}
        return {name: _sample(inner or {}, text) for name, inner in properties.items()}
    if kind == "array":
        return [_sample(schema.get("items") or {"type": "string"}, text)]
    plain: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
    return plain.get(kind, text)
