"""JSON Schemas of what tools take and give, from their Structs."""

from typing import Any

import msgspec


def flat_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a Struct that refers to no other."""
    (_,), components = msgspec.json.schema_components([kind])
    (found,) = components.values()
    return {name: value for name, value in found.items() if name != "title"}
