"""What the framework says about a request that does not fit, with the names that clients use."""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import ValidationException
from litestar.params import ParameterKwarg
from litestar.typing import FieldDefinition

from omniroute.errors import ValidationFailed
from omniroute.operations.inputs import problem_at

_UNKNOWN_FIELD = re.compile(r"^Object contains unknown field [`'](?P<name>[^`']+)[`']")
_MISSING = re.compile(r"^Missing required (?:\w+) parameter '(?P<name>[^']+)'")
_BODY = "data"
"""What handlers call the body, and the framework a problem of no single field of it."""


def complaint(request: Request[Any, Any, Any], error: ValidationException) -> ValidationFailed:
    """The framework's error as ours."""
    declared = request.route_handler.parsed_fn_signature.parameters
    entries = error.extra if isinstance(error.extra, list) else []
    problems = [_problem(declared, entry) for entry in entries if isinstance(entry, dict)]
    missing = _MISSING.match(error.detail)
    if missing is not None:
        problems.append((missing["name"], "is required"))
    return ValidationFailed(problems or [("", error.detail)])


def _problem(declared: dict[str, FieldDefinition], entry: dict[str, Any]) -> tuple[str, str]:
    message, key = str(entry.get("message", "")), str(entry.get("key", ""))
    if entry.get("source") == "body" or key == _BODY:
        path = "" if key == _BODY else key.removeprefix(_BODY)
        kind: Any = declared[_BODY].annotation if _BODY in declared else Any
        field, told = problem_at(path, message, kind)
    else:
        name, dot, rest = key.partition(".")
        known = declared.get(name)
        _, told = problem_at("", message, Any if known is None else known.annotation)
        field = f"{_wire_name(known, name)}{dot}{rest}"
    unknown = _UNKNOWN_FIELD.match(message)
    if unknown is not None:
        return f"{field}.{unknown['name']}".strip("."), "is not known here"
    return field, told


def _wire_name(known: FieldDefinition | None, name: str) -> str:
    """What clients call a parameter."""
    kwarg = None if known is None else known.kwarg_definition
    return (kwarg.name if isinstance(kwarg, ParameterKwarg) else None) or name
