"""JSON with comments: read with places, and changed by as little of the text as it takes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omniroute.errors import InvalidRequest

_SPACE = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/)?")
_INDENT = re.compile(r"(?:\A|(?<=\n))([ \t]+)\Z")
_DECODER = json.JSONDecoder()


@dataclass(slots=True)
class Node:
    """A value and the part of the text it takes."""

    start: int
    end: int
    value: Any
    members: "list[Member]" = field(default_factory=list)
    trailing_comma: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object."""

    name: str
    start: int
    node: Node


def read(text: str) -> Any:
    """The data of a text; None where it is blank.

    Raises:
        InvalidRequest: it is not JSON; names the line.
    """
    root = _parse(text)
    return None if root is None else root.value


def put(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a value at a path of member names; the rest stays as it is written.

    Raises:
        InvalidRequest: it is not JSON, or something other than an object stands on the way.
    """
    line_end, root = _line_end(text), _parse(text)
    if root is None:
        return text.rstrip() + _written(_nested(path, value), "  ", "", line_end) + line_end
    node = root
    for depth, name in enumerate(path):
        if node.value is None:
            return _replaced(text, node, _nested(path[depth:], value), root)
        if not isinstance(node.value, dict):
            where = f"'{path[depth - 1]}'" if depth else "what it holds"
            raise InvalidRequest(f"{where} in line {_line(text, node.start)} is no object.")
        found = next((one for one in reversed(node.members) if one.name == name), None)
        if found is None:
            unit = _unit(text, root)
            return _added(text, node, name, _nested(path[depth + 1 :], value), unit)
        node = found.node
    if node.value == value:
        return text
    return _replaced(text, node, value, root)


def _replaced(text: str, node: Node, value: Any, root: Node) -> str:
    made = _written(value, _unit(text, root), _indent_of(text, node.start), _line_end(text))
    return text[: node.start] + made + text[node.end :]


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _added(text: str, node: Node, name: str, value: Any, unit: str) -> str:
    """The text with one more member at the end of an object."""
    line_end, outer = _line_end(text), _indent_of(text, node.start)
    first = node.members[0] if node.members else None
    if first is not None and "\n" not in text[node.start : first.start]:
        made = f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        last = node.members[-1].node.end
        return f"{text[:last]}, {made}{text[last:]}"
    inner = outer + unit if first is None else _before(text, first.start)
    made = f"{inner}{json.dumps(name)}: {_written(value, unit, inner, line_end)}"
    if first is None:
        # What an empty object holds can only be space and comments; those stay in front.
        held = text[node.start + 1 : node.end - 1].rstrip()
        return (
            f"{text[: node.start + 1]}{held}{line_end}{made}{line_end}{outer}{text[node.end - 1 :]}"
        )
    last = node.members[-1].node.end
    comma = "" if node.trailing_comma is None else ","
    after = last if node.trailing_comma is None else node.trailing_comma + 1
    rest = _REST_OF_LINE.match(text, after)
    line = after if rest is None else rest.end()
    separator = "," if node.trailing_comma is None else ""
    return f"{text[:last]}{separator}{text[last:line]}{line_end}{made}{comma}{text[line:]}"


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _written(value: Any, unit: str, indent: str, line_end: str) -> str:
    """A value as it is written where a line is indented like this."""
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return (line_end + indent).join(lines)


def _unit(text: str, root: Node) -> str:
    """What one level of indentation is in a text."""
    if root.members and (found := _before(text, root.members[0].start)):
        return found
    return "  "


def _before(text: str, at: int) -> str:
    """The indentation in front of a place that begins its line."""
    found = _INDENT.search(text, 0, at)
    return found[1] if found else ""


def _indent_of(text: str, at: int) -> str:
    """The indentation of the line a place is on."""
    begin = text.rfind("\n", 0, at) + 1
    return text[begin : len(text) - len(text[begin:].lstrip(" \t"))]


def _parse(text: str) -> Node | None:
    at = _skip(text, 0)
    if at == len(text):
        return None
    node = _value(text, at)
    end = _skip(text, node.end)
    if end != len(text):
        raise _broken(text, end)
    return node


def _value(text: str, at: int) -> Node:
    if text.startswith("{", at):
        return _object(text, at)
    if text.startswith("[", at):
        return _list(text, at)
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _broken(text, error.pos) from error
    return Node(at, end, value)


def _object(text: str, start: int) -> Node:
    node, at = Node(start, start, {}), _skip(text, start + 1)
    while not text.startswith("}", at):
        if not text.startswith('"', at):
            raise _broken(text, at)
        name = _value(text, at)
        colon = _skip(text, name.end)
        if not text.startswith(":", colon):
            raise _broken(text, colon)
        found = _value(text, _skip(text, colon + 1))
        node.members.append(Member(name.value, at, found))
        node.value[name.value] = found.value
        at, node.trailing_comma = _next(text, found.end, "}")
    node.end = at + 1
    return node


def _list(text: str, start: int) -> Node:
    node, at = Node(start, start, []), _skip(text, start + 1)
    while not text.startswith("]", at):
        found = _value(text, at)
        node.value.append(found.value)
        at, _ = _next(text, found.end, "]")
    node.end = at + 1
    return node


def _next(text: str, at: int, closing: str) -> tuple[int, int | None]:
    """Where the next member is, or the end; and the comma in front of the end."""
    at = _skip(text, at)
    if text.startswith(closing, at):
        return at, None
    if not text.startswith(",", at):
        raise _broken(text, at)
    after = _skip(text, at + 1)
    return after, at if text.startswith(closing, after) else None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _broken(text: str, at: int) -> InvalidRequest:
    return InvalidRequest(f"Line {_line(text, at)} is not valid JSON.")
