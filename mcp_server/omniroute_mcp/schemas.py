"""JSON Schemas of tool inputs and outputs, from the Structs of the operations."""

import inspect
import re
from functools import lru_cache
from typing import Any

import msgspec

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


@lru_cache(maxsize=256)
def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A self-contained object schema; field texts come from the docstring's `Attributes`."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    root = str(schema["$ref"]).rsplit("/", 1)[1]
    definitions = {name: dict(one) for name, one in components.items()}
    found = definitions.pop(root)
    for name, text in _told(kind).items():
        if name in found["properties"]:
            found["properties"][name] = {**found["properties"][name], "description": text}
    found["description"] = _first_line(kind)
    for definition in definitions.values():
        definition.pop("title", None)
    found.pop("title", None)
    if definitions:
        found["$defs"] = definitions
    portable: dict[str, Any] = _without_bare_false(found)
    return portable


def empty_schema() -> dict[str, Any]:
    """The schema of a tool without input."""
    return {"type": "object", "properties": {}}


def _without_bare_false(schema: Any) -> Any:
    """The schema without the `items: false` of tuples, which `maxItems` says already: some models'
    own checks take no boolean for a schema."""
    if isinstance(schema, list):
        return [_without_bare_false(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: one for name, one in schema.items() if (name, one) != ("items", False)}
    return {name: _without_bare_false(one) for name, one in kept.items()}


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n", 1)[0]


def _told(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Wire name of a field and what the docstring says of it."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:")[2]
    told = {name: " ".join(found.split()) for name, found in _ATTRIBUTE.findall(text)}
    return {
        field.encode_name: told[field.name]
        for field in msgspec.structs.fields(kind)
        if field.name in told
    }
