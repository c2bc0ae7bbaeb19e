"""Turning outside data into the typed inputs of operations, with errors that name the field."""

import re
from typing import Any, TypeVar

import msgspec

from omniroute.errors import ValidationFailed

InputT = TypeVar("InputT")

_PATH = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>.*?)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")


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
        raise ValidationFailed([field_problem(str(error))]) from error


def field_problem(text: str) -> tuple[str, str]:
    """The dotted field and the message in what msgspec says about bad data."""
    found = _PATH.match(text)
    message = found["message"] if found else text
    path = (found["path"] or "" if found else "").replace("[...]", "")
    field = re.sub(r"\[(\d+)\]", r".\1", path).strip(".")
    missing = _MISSING.match(message)
    if missing:
        field = f"{field}.{missing['name']}".strip(".")
        message = "is required"
    return field, message.replace("`", "'")
