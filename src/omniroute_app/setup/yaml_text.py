"""YAML: read, and changed by the lines of one list item; what lies around it stays as written."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from omniroute.errors import InvalidRequest
from omniroute_app.setup.puts import Item, Put, put_into


def read(text: str) -> Any:
    """The data of a text; None where it is blank.

    Raises:
        InvalidRequest: it is not YAML; names the line.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidRequest(f"Line {line} is not valid YAML: {error.problem}.") from error
    except YAMLError as error:
        raise InvalidRequest("It is not valid YAML.") from error


def put(text: str, put: Put) -> str:
    """The text with a value in it: as lines where the list is written in lines, else (lists in
    brackets, empty ones) the document is written anew, with its comments."""
    made = _in_lines(text, put)
    if made is not None and _reads_as(made, put_into(read(text), put)):
        return made
    return _anew(text, put)


def _reads_as(text: str, wanted: Any) -> bool:
    try:
        return bool(read(text) == wanted)
    except InvalidRequest:
        return False


def _in_lines(text: str, put: Put) -> str | None:
    """The text with an item added to a list of the top level, or put in the place of its old self;
    None where that cannot be done line by line."""
    name, item = put.path[0], put.path[-1]
    if len(put.path) != 2 or not isinstance(item, Item):
        return None
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += line_end
    document = YAML().load(text)
    if document is None or name not in document:
        return "".join([*lines, f"{name}:{line_end}", *_item(put.value, 2, line_end)])
    items = document[name]
    if not items or items.fa.flow_style():
        return None
    starts = [items.lc.item(place)[0] for place in range(len(items))]
    column = lines[starts[0]].index("-")
    ends = [*starts[1:], _end(lines, starts[-1], column)]
    names = [one.get("name") if isinstance(one, Mapping) else None for one in items]
    made = _item(put.value, column, line_end)
    if item.name in names:
        place = names.index(item.name)
        lines[starts[place] : ends[place]] = made
    else:
        lines[ends[-1] : ends[-1]] = made
    return "".join(lines)


def _end(lines: list[str], start: int, column: int) -> int:
    """The line after an item: the last one that is indented deeper than its dash."""
    end = start + 1
    for place in range(start + 1, len(lines)):
        bare = lines[place].strip()
        if not bare or bare.startswith("#"):
            continue
        if len(lines[place]) - len(lines[place].lstrip(" ")) <= column:
            break
        end = place + 1
    return end


def _item(value: Any, column: int, line_end: str) -> list[str]:
    """A list item as lines, its dash in a column."""
    out, yaml = StringIO(), YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(value, out)
    lines = out.getvalue().splitlines()
    first = " " * column + "- "
    return [
        f"{first if not place else ' ' * len(first)}{line}{line_end}"
        for place, line in enumerate(lines)
    ]


def _anew(text: str, put: Put) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.line_break = "\r\n" if "\r\n" in text else "\n"  # type: ignore[assignment]
    document = yaml.load(text)
    document = {} if document is None else document
    name, item = put.path
    items = list(document.get(name) or ())
    names = [one.get("name") if isinstance(one, Mapping) else None for one in items]
    place = names.index(item.name) if isinstance(item, Item) and item.name in names else len(items)
    items[place : place + 1] = [put.value]
    document[name] = items
    out = StringIO(newline="")
    yaml.dump(document, out)
    return out.getvalue()
