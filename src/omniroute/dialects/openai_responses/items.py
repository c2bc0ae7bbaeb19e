"""Output items of a response, as they begin, grow and end on the wire."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from omniroute.chat import Reasoning
from omniroute.dialects.arguments import is_object
from omniroute.dialects.openai_responses.wire import Wire, free_text, sealed


class Item(ABC):
    """One item on its way out. It writes nothing before its turn; see `ResponsesEncoder`.

    `begin`, `grow` and `end` give events without numbers; `done` is the finished item.
    """

    prefix = ""

    def __init__(self) -> None:
        self.id = ""
        self.begun = False

    @property
    def complete(self) -> bool:
        """Whether the item can end when another waits behind it."""
        return True

    @abstractmethod
    def done(self) -> Wire:
        """The finished item."""

    def opening(self) -> Wire:
        """The item before it has any content."""
        return self.done()

    def grow(self) -> Iterator[Wire]:
        """Events for what has been added since the last call."""
        return iter(())

    def close(self) -> Iterator[Wire]:
        """Events that finish the content, before the item itself is done."""
        return iter(())


class MessageItem(Item):
    """Text and refusals, in the order they came."""

    prefix = "msg"

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[str, list[str]]] = []
        self._open: int | None = None
        self._written = 0  # pieces of the newest part

    def add(self, kind: str, text: str) -> None:
        """More of `output_text` or `refusal`."""
        if not self._parts or self._parts[-1][0] != kind:
            self._parts.append((kind, []))
        self._parts[-1][1].append(text)

    def done(self) -> Wire:
        content = [_part(kind, "".join(pieces)) for kind, pieces in self._parts]
        return self._shown(content, "completed")

    def opening(self) -> Wire:
        return self._shown([], "in_progress")

    def _shown(self, content: list[Wire], status: str) -> Wire:
        fields = {"status": status, "role": "assistant", "content": content}
        return {"id": self.id, "type": "message", **fields}

    def grow(self) -> Iterator[Wire]:
        place = 0 if self._open is None else self._open
        while place < len(self._parts):
            if place != self._open:
                yield from self._end_part()
                self._open, self._written = place, 0
                part = _part(self._parts[place][0], "")
                yield self._event("response.content_part.added", part=part)
            kind, pieces = self._parts[place]
            for piece in pieces[self._written :]:
                logprobs: Wire = {"logprobs": []} if kind == "output_text" else {}
                yield self._event(f"response.{kind}.delta", delta=piece, **logprobs)
            self._written = len(pieces)
            place += 1

    def close(self) -> Iterator[Wire]:
        yield from self._end_part()

    def _end_part(self) -> Iterator[Wire]:
        if self._open is None:
            return
        kind, pieces = self._parts[self._open]
        text = "".join(pieces)
        if kind == "refusal":
            yield self._event("response.refusal.done", refusal=text)
        else:
            yield self._event("response.output_text.done", text=text, logprobs=[])
        yield self._event("response.content_part.done", part=_part(kind, text))

    def _event(self, kind: str, **fields: object) -> Wire:
        return {"type": kind, "item_id": self.id, "content_index": self._open, **fields}


def _part(kind: str, text: str) -> Wire:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class ReasoningItem(Item):
    """Thinking that is shown, with the state it leaves behind."""

    prefix = "rs"

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self._written = 0
        self._open = False
        self.state: Reasoning | None = None

    def add(self, text: str) -> None:
        """More thinking."""
        self._pieces.append(text)

    def done(self) -> Wire:
        summary = [_summary("".join(self._pieces))] if self._pieces else []
        shown: Wire = {"id": self.id, "type": "reasoning", "summary": summary}
        content = sealed(self.state) if self.state is not None else None
        return shown | ({"encrypted_content": content} if content is not None else {})

    def opening(self) -> Wire:
        return {"id": self.id, "type": "reasoning", "summary": []}

    def grow(self) -> Iterator[Wire]:
        for piece in self._pieces[self._written :]:
            if not self._open:
                self._open = True
                yield self._event("part.added", part=_summary(""))
            yield self._event("text.delta", delta=piece)
        self._written = len(self._pieces)

    def close(self) -> Iterator[Wire]:
        if self._open:
            text = "".join(self._pieces)
            yield self._event("text.done", text=text)
            yield self._event("part.done", part=_summary(text))

    def _event(self, kind: str, **fields: object) -> Wire:
        named = {"type": f"response.reasoning_summary_{kind}", "item_id": self.id}
        return {**named, "summary_index": 0, **fields}


def _summary(text: str) -> Wire:
    return {"type": "summary_text", "text": text}


class CallItem(Item):
    """A function call; its arguments are written as they come."""

    prefix = "fc"

    def __init__(self, call_id: str, name: str) -> None:
        super().__init__()
        self._call_id, self._name = call_id, name
        self._pieces: list[str] = []
        self._written = 0

    @property
    def complete(self) -> bool:
        return is_object("".join(self._pieces))

    def add(self, text: str) -> None:
        """More JSON text."""
        self._pieces.append(text)

    @property
    def arguments(self) -> str:
        """All of it; a call without arguments has an empty object."""
        return "".join(self._pieces) or "{}"

    def done(self) -> Wire:
        return self._shown(self.arguments, "completed")

    def opening(self) -> Wire:
        return self._shown("", "in_progress")

    def _shown(self, arguments: str, status: str) -> Wire:
        named = {"call_id": self._call_id, "name": self._name, "arguments": arguments}
        return {"id": self.id, "type": "function_call", "status": status, **named}

    def grow(self) -> Iterator[Wire]:
        for piece in self._pieces[self._written :]:
            kind = "response.function_call_arguments.delta"
            yield {"type": kind, "item_id": self.id, "delta": piece}
        self._written = len(self._pieces)

    def close(self) -> Iterator[Wire]:
        named = {"arguments": self.arguments, "name": self._name}
        yield {"type": "response.function_call_arguments.done", "item_id": self.id, **named}


class FreeCallItem(CallItem):
    """A call of a tool that takes text: the text is known when the arguments are whole."""

    prefix = "ctc"

    def _shown(self, arguments: str, status: str) -> Wire:
        text = free_text(arguments) if arguments else ""
        named = {"call_id": self._call_id, "name": self._name, "input": text}
        return {"id": self.id, "type": "custom_tool_call", "status": status, **named}

    def grow(self) -> Iterator[Wire]:
        return iter(())

    def close(self) -> Iterator[Wire]:
        text = free_text(self.arguments)
        kind = "response.custom_tool_call_input"
        yield {"type": f"{kind}.delta", "item_id": self.id, "delta": text}
        yield {"type": f"{kind}.done", "item_id": self.id, "input": text}


class WholeItem(Item):
    """An item that comes in one piece."""

    def __init__(self, prefix: str, fields: Wire) -> None:
        super().__init__()
        self.prefix = prefix
        self._fields = fields

    def done(self) -> Wire:
        return {"id": self.id, **self._fields}
