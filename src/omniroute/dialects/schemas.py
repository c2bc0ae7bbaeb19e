"""The JSON Schemas of tools, in the least every upstream insists on."""

from collections.abc import Mapping
from typing import Any


def object_schema(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema of a tool's arguments: an object, with `properties` even when there are none."""
    schema = dict(parameters or {"type": "object"})
    if schema.get("type") == "object":
        schema.setdefault("properties", {})
    return schema
