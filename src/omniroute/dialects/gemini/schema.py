"""JSON Schemas in the part of the language that Gemini reads, and back. 05 §12.9."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

MAX_DEPTH = 32

_KEPT = ("description", "nullable", "minimum", "maximum", "propertyOrdering")
_RANKS = {"object": 3, "array": 2}


def gemini_schema(schema: Mapping[str, Any] | None) -> Schema | None:
    """The schema of a tool's arguments or of an answer; None when it says nothing.

    Walks schema positions only: a property may well be *called* `default` or `enum`.
    """
    if not schema:
        return None
    definitions = {
        f"#/{name}/{key}": value
        for name in ("$defs", "definitions")
        for key, value in _mapping(schema.get(name)).items()
    }
    cleaned = _clean(schema, definitions, (), 0)
    says_nothing = cleaned.get("type") == "object" and not cleaned.get("properties")
    return None if says_nothing else cleaned


def _clean(
    schema: object, definitions: Mapping[str, Any], seen: tuple[str, ...], depth: int
) -> Schema:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in seen:  # it would never end
            return {}
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        target = _mapping(definitions.get(reference))
        return _clean({**target, **rest}, definitions, (*seen, reference), depth + 1)
    plain, nullable = _without_choices(schema)
    found: Schema = {name: plain[name] for name in _KEPT if plain.get(name) is not None}
    kind, may_be_null = _type_of(plain)
    if kind:
        found["type"] = kind
    if nullable or may_be_null:
        found["nullable"] = True

    def inner(value: object) -> Schema:
        return _clean(value, definitions, seen, depth + 1)

    if isinstance(plain.get("properties"), Mapping):
        found["properties"] = {name: inner(one) for name, one in plain["properties"].items()}
        found.setdefault("type", "object")
    if found.get("type") == "array":
        found["items"] = inner(_items(plain)) or {"type": "string"}
    required = plain.get("required")
    if isinstance(required, list):
        known = found.get("properties", {})
        kept = [name for name in required if isinstance(name, str) and name in known]
        found |= {"required": kept} if kept else {}
    return found | _enum(plain)


def _without_choices(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with `allOf` merged and the best branch of its choices taken; may it be null?"""
    merged = dict(schema)
    for branch in _list(schema.get("allOf")):
        one, _ = _without_choices(_mapping(branch))
        properties = {**_mapping(merged.get("properties")), **_mapping(one.get("properties"))}
        required = [*_list(merged.get("required")), *_list(one.get("required"))]
        merged = {**one, **merged}
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": list(dict.fromkeys(map(str, required)))} if required else {}
    nullable = False
    for name in ("anyOf", "oneOf"):
        branches = [_mapping(one) for one in _list(schema.get(name))]
        real = [one for one in branches if one.get("type") != "null"]
        nullable = nullable or len(real) < len(branches)
        if real:
            best = max(real, key=_rank)  # of equals the first
            merged = {**best, **{key: value for key, value in merged.items() if key != name}}
    return merged, nullable


def _rank(branch: Mapping[str, Any]) -> int:
    kind = "object" if "properties" in branch or "$ref" in branch else branch.get("type")
    return _RANKS.get(str(kind), 1)


def _type_of(schema: Mapping[str, Any]) -> tuple[str, bool]:
    kind = schema.get("type")
    if isinstance(kind, list):
        real = [str(one) for one in kind if one != "null"]
        return (real[0] if real else "string"), len(real) < len(kind)
    return (kind.lower() if isinstance(kind, str) else ""), False


def _enum(schema: Mapping[str, Any]) -> Schema:
    given = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    values = [one if isinstance(one, str) else _word(one) for one in given if one is not None]
    return {"type": "string", "enum": list(dict.fromkeys(values))} if values else {}


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _items(schema: Mapping[str, Any]) -> object:
    items = schema.get("items")
    several = items if isinstance(items, list) else _list(schema.get("prefixItems"))
    if several:
        objects = [one for one in several if _mapping(one).get("type") == "object"]
        return (objects or several)[0]
    return items


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def json_schema(schema: object) -> Schema | None:
    """A Gemini schema as plain JSON Schema: types in lower case, `nullable` as a type."""
    if not isinstance(schema, Mapping):
        return None
    found: Schema = {}
    for name, value in schema.items():
        match name:
            case "type":
                found["type"] = value.lower() if isinstance(value, str) else value
            case "properties":
                found[name] = {key: json_schema(one) or {} for key, one in _mapping(value).items()}
            case "items":
                found[name] = json_schema(value) or {}
            case "anyOf" | "any_of":
                found["anyOf"] = [json_schema(one) or {} for one in _list(value)]
            case "nullable":
                pass
            case _:
                found[name] = value
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found
