"""Tables of a file as the inputs of operations: every unknown name and every misfit is noted."""

import re
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import FieldInfo

from omniroute.catalog.names import did_you_mean
from omniroute.operations.configuration.configuration_file.document import Document
from omniroute.operations.configuration.configuration_file.places import Path
from omniroute.operations.inputs import field_problem

StructT = TypeVar("StructT", bound=Struct)

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def spelled(field: FieldInfo) -> str:
    """What a field is called in the file: as in Python, but for what that has no word for."""
    return field.encode_name if field.name.endswith("_") else field.name


def spellings(kind: type[Struct], renamed: Mapping[str, str] | None = None) -> dict[str, str]:
    """What fields are called in the file, by what the management API calls them."""
    names = renamed or {}
    found = {}
    for field in msgspec.structs.fields(kind):
        found[field.encode_name] = found[field.name] = names.get(field.name, spelled(field))
    return found


def read_fields(
    kind: type[StructT],
    written: Any,
    path: Path,
    document: Document,
    *,
    given: Mapping[str, Any] | None = None,
    renamed: Mapping[str, str] | None = None,
    hidden: Collection[str] = (),
) -> StructT | None:
    """A table as a value of `kind`; None where something in it is wrong, which is noted.

    Args:
        given: fields that the table does not say because its place does.
        renamed: what fields are called here, by their names in Python.
        hidden: fields that are not for files.
    """
    given, renamed = dict(given or {}), renamed or {}
    if not isinstance(written, dict):
        document.problem(path, "must be a table.")
        return None
    known = {
        renamed.get(field.name, spelled(field)): field
        for field in msgspec.structs.fields(kind)
        if field.name not in hidden and field.name not in given
    }
    sound = require_known(written, known, path, document)
    for name, field in known.items():
        if name not in written:
            if field.required:
                document.problem(path, f"needs '{name}'.")
                sound = False
            continue
        value, fits = read_value(field.type, written[name], (*path, name), document)
        given[field.name] = value
        sound = sound and fits
    return kind(**given) if sound else None


def require_known(
    written: Mapping[str, Any], known: Collection[str], path: Path, document: Document
) -> bool:
    """Note every name that is not known; whether there was none."""
    unknown = [name for name in written if name not in known]
    for name in unknown:
        document.problem((*path, name), f"is not known.{did_you_mean(name, known)}")
    return not unknown


def read_value(kind: Any, written: Any, path: Path, document: Document) -> tuple[Any, bool]:
    """A value of any type, and whether it fits; what does not is noted."""
    worded, sound = _in_api_words(written, kind, path, document)
    try:
        return msgspec.convert(worded, kind), sound
    except msgspec.ValidationError as error:
        field, told = field_problem(str(error), kind)
        inner = [int(one) if one.isdigit() else _snake(one) for one in field.split(".") if one]
        document.problem((*path, *inner), _told(told))
        return None, False


def _in_api_words(written: Any, kind: Any, path: Path, document: Document) -> tuple[Any, bool]:
    """Nested tables with the names the management API has for their fields."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _in_api_words(written, parts[0], path, document)
    if origin in (Union, UnionType):
        found = next((one for one in parts if _suits(written, one)), None)
        return (written, True) if found is None else _in_api_words(written, found, path, document)
    if isinstance(written, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        known = {spelled(field): field for field in msgspec.structs.fields(kind)}
        sound = require_known(written, known, path, document)
        worded = {}
        for name, value in written.items():
            if name in known:
                inner = known[name].type
                worded[known[name].encode_name], fits = _in_api_words(
                    value, inner, (*path, name), document
                )
                sound = sound and fits
        return worded, sound
    if isinstance(written, list) and origin in (list, tuple):
        pairs = [
            _in_api_words(one, parts[0], (*path, at), document) for at, one in enumerate(written)
        ]
        return [one for one, _ in pairs], all(fits for _, fits in pairs)
    if isinstance(written, dict) and origin is dict:
        named = {
            name: _in_api_words(one, parts[1], (*path, name), document)
            for name, one in written.items()
        }
        return {name: one for name, (one, _) in named.items()}, all(
            fits for _, fits in named.values()
        )
    return written, True


def _suits(written: Any, kind: Any) -> bool:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin = get_origin(kind)
    if isinstance(written, dict):
        return origin is dict or (isinstance(kind, type) and issubclass(kind, Struct))
    return isinstance(written, list) and origin in (list, tuple)


def as_written(value: Any) -> Any:
    """A value in the words of the file; fields that say nothing are left out."""
    if isinstance(value, Struct):
        return fields_of(value)
    if isinstance(value, Mapping):
        return {str(name): as_written(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [as_written(one) for one in value if one is not None]
    return value


def fields_of(value: Struct, *leave_out: str, always: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a value that are not as they would be anyway."""
    found = {}
    for field in msgspec.structs.fields(value):
        one = getattr(value, field.name)
        if field.name in leave_out or one is None or one is UNSET:
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if field.name in always or one != default:
            found[spelled(field)] = as_written(one)
    return found


def _snake(name: str) -> str:
    return _HUMP.sub(lambda found: f"_{found[1].lower()}", name)


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _told(told: str) -> str:
    """What msgspec says of a value, in words."""
    for name, words in _WORDS.items():
        told = told.replace(f"'{name}'", words)
    told = told.replace("Expected", "must be", 1).replace(", got ", ", not ")
    told = told if told.startswith(("must", "is ")) else f"does not fit: {told}"
    return told if told.endswith((".", "?")) else f"{told}."
