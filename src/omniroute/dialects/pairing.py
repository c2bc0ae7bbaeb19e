"""Calls and their answers, put in the order every upstream insists on."""

from collections.abc import Callable, Iterable
from itertools import count

from msgspec.structs import replace

from omniroute.chat import Message, Part, Text, ToolCall, ToolResult

NO_ANSWER = "No response was received for this tool call."


class _Turn:
    """An assistant turn and the answers to its calls, in the order of the calls."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.answers: dict[str, ToolResult | None] = {}


def paired(
    messages: Iterable[Message], wire_id: Callable[[str], str] = lambda call_id: call_id
) -> list[Message]:
    """The conversation with one `tool` message directly behind every turn that called tools.

    Answers are linked by the id of the call, in whatever order they came. A call nobody answered
    gets a placeholder, unless its turn is the last one: then the answer is still to come.
    Answers without a call and calls without a name go. Call ids pass through `wire_id` and are
    made unique, for small models number their calls from 0 in every turn.
    """
    turns: list[_Turn] = []
    used: set[str] = set()
    # Client's call id to the calls that wait for an answer, as (turn, id on the wire).
    waiting: dict[str, list[tuple[_Turn, str]]] = {}
    for message in messages:
        if message.role == "assistant":
            turns.append(_open(message, waiting, used, wire_id))
            continue
        rest = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                _answer(part, waiting)
            else:
                rest.append(part)
        if message.role != "tool":
            turns.append(_Turn(replace(message, parts=tuple(rest))))
    return list(_laid_out(turns))


def _open(
    message: Message,
    waiting: dict[str, list[tuple[_Turn, str]]],
    used: set[str],
    wire_id: Callable[[str], str],
) -> _Turn:
    calls = [part for part in message.parts if isinstance(part, ToolCall) and part.name.strip()]
    # The newest turn that uses an id is the one later answers mean.
    for call in calls:
        waiting.pop(call.id, None)
    turn = _Turn(message)
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            if not part.name.strip():
                continue
            unique = _unique(part.id or "call", wire_id, used)
            turn.answers[unique] = None
            waiting.setdefault(part.id, []).append((turn, unique))
            parts.append(replace(part, id=unique))
        else:
            parts.append(part)
    turn.message = replace(message, parts=tuple(parts))
    return turn


def _answer(result: ToolResult, waiting: dict[str, list[tuple[_Turn, str]]]) -> None:
    # A call that came without an id can only be meant by an answer with an unknown one.
    calls = waiting.get(result.call_id) or waiting.get("")
    if calls:
        turn, unique = calls.pop(0)
        turn.answers[unique] = replace(result, call_id=unique)


def _unique(call_id: str, wire_id: Callable[[str], str], used: set[str]) -> str:
    name = wire_id(call_id)
    for number in count(2):
        if name and name not in used:
            break
        name = wire_id(f"{call_id}_{number}")
    used.add(name)
    return name


def _laid_out(turns: list[_Turn]) -> Iterable[Message]:
    for position, turn in enumerate(turns):
        yield turn.message
        if not turn.answers:
            continue
        if position == len(turns) - 1 and not any(turn.answers.values()):
            return
        yield Message(
            "tool",
            tuple(
                answer or ToolResult(call_id, (Text(NO_ANSWER),))
                for call_id, answer in turn.answers.items()
            ),
        )
