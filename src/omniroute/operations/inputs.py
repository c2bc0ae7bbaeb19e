"""Turning outside data into the typed inputs of operations, with errors that name the field."""

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from omniroute.catalog.names import did_you_mean
from omniroute.errors import ValidationFailed

InputT = TypeVar("InputT")

_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?:key in )?\$(?P<path>.*?)`)?$", re.DOTALL)
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)")
_MISSING = re.compile(r"Object missing required field [`'](?P<name>[^`']+)[`']")
_NOT_A_CHOICE = re.compile(r"Invalid enum value [`']?(?P<given>.*?)[`']?$", re.DOTALL)
MOST_REPEATED = 100
"""Letters of a wrong value for which a near name is looked."""


def decode_input(kind: type[InputT], body: bytes) -> InputT:
    """Parse a JSON body into `kind`. Unknown keys are dropped.

    Raises:
        ValidationFailed: not JSON (field `body`), or a field breaks the schema.
    """
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise ValidationFailed([("body", "is not valid JSON")]) from error
    return convert_input(kind, value)


def convert_input(kind: type[InputT], value: Any) -> InputT:
    """Check already parsed data against `kind`.

    Raises:
        ValidationFailed: a field breaks the schema.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValidationFailed([field_problem(str(error), kind)]) from error


def field_problem(text: str, kind: Any = Any) -> tuple[str, str]:
    """The dotted field and the message in what msgspec says about data that is no `kind`."""
    found = _PATH.match(text)
    if found is None:
        return "", text.replace("`", "'")
    return problem_at(found["path"] or "", found["message"], kind)


def problem_at(path: str, message: str, kind: Any = Any) -> tuple[str, str]:
    """The same, where the place is known already: `.a[0].b` is the field `a.0.b`."""
    steps = [index or name for index, name in _STEP.findall(path)]
    field = ".".join(step for step in steps if step != "...")
    missing = _MISSING.match(message)
    if missing is not None:
        return f"{field}.{missing['name']}".strip("."), "is required"
    wrong = _NOT_A_CHOICE.match(message)
    choices = list(_choices(inspect.type_info(kind), steps)) if wrong is not None else []
    if wrong is not None and choices:
        given = wrong["given"] if len(wrong["given"]) <= MOST_REPEATED else ""
        hint = did_you_mean(given, [one for one in choices if isinstance(one, str)])
        listed = ", ".join(repr(one) for one in choices)
        return field, f"must be one of: {listed}{'.' if hint else ''}{hint}"
    return field, message.replace("`", "'")


def _choices(kind: inspect.Type, steps: list[str]) -> Iterator[Any]:
    """The values there are at a place in a type, where those are counted."""
    if isinstance(kind, inspect.Metadata):
        yield from _choices(kind.type, steps)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _choices(one, steps)
    elif not steps:
        if isinstance(kind, inspect.LiteralType):
            yield from (one for one in kind.values if one is not None)
        elif isinstance(kind, inspect.EnumType):
            yield from (one.value for one in kind.cls)
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if field.encode_name == steps[0]:
                yield from _choices(field.type, steps[1:])
    elif isinstance(kind, inspect.DictType):
        yield from _choices(kind.value_type, steps[1:])
    elif isinstance(kind, inspect.CollectionType):
        yield from _choices(kind.item_type, steps[1:])
