"""The page that shows the OpenAPI document: plain HTML, no scripts, works offline."""

from html import escape
from typing import Any

from litestar.connection import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;
color:#1c2530;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #d5dbe2}
details{margin:.4rem 0;border:1px solid #d5dbe2;border-radius:6px;padding:.4rem .8rem}
summary{cursor:pointer}code,b.m{font-family:ui-monospace,monospace}
b.m{display:inline-block;width:5rem}td,th{text-align:left;padding:.15rem 1rem .15rem 0;
vertical-align:top}p.s{color:#55606d;margin:.2rem 0}
@media(prefers-color-scheme:dark){body{color:#dde3ea;background:#12161b}
details,h2{border-color:#39424d}p.s{color:#9aa6b3}a{color:#7db3ff}}
"""


class Document(JsonRenderPlugin):
    """The document itself."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """`openapi_schema` as JSON."""
        return super().render(request, without_dots(openapi_schema))


def without_dots(schema: Any) -> Any:
    """The document with the items of `tuple[X, ...]` as X: where a list has limits, the framework
    takes the dots for one more type, which anything fits."""
    if isinstance(schema, list):
        return [without_dots(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    choices = schema.get("oneOf")
    if isinstance(choices, list) and len(choices) == 2 and choices[1] == {}:
        return without_dots(choices[0])
    return {name: without_dots(one) for name, one in schema.items()}


class PlainPage(OpenAPIRenderPlugin):
    """Renders the document as one HTML page, a section per tag."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, _request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page for `openapi_schema`."""
        return page(openapi_schema).encode()


def page(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML."""
    info = document["info"]
    schemas = document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[str]] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "responses" in operation:
                tag = (operation.get("tags") or ["Other"])[0]
                row = _operation(path, method, operation, schemas)
                by_tag.setdefault(tag, []).append(row)
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in sorted(by_tag.items())
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f'content="width=device-width,initial-scale=1"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description') or '')}</p>"
        f'<p>The same as a document: <a href="/docs/openapi.json">openapi.json</a></p>'
        f"{sections}"
    )


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    told = operation.get("description") or operation.get("summary") or ""
    parameters = [
        (one["name"], f"{one['in']}, {_type(one.get('schema') or {})}", one.get("required"))
        for one in operation.get("parameters") or []
    ]
    body = _json_schema(operation.get("requestBody") or {})
    answers = [
        (status, answer.get("description") or "", _json_schema(answer))
        for status, answer in sorted(operation["responses"].items())
    ]
    parts = [
        _fields("Parameters", parameters),
        _fields("Body", _members(body, schemas)),
        *(
            f"<h4>{escape(status)} {escape(text)}</h4>{_fields('', _members(schema, schemas))}"
            for status, text, schema in answers
        ),
    ]
    return (
        f"<details><summary><b class=m>{method.upper()}</b><code>{escape(path)}</code>"
        f"<p class=s>{escape(told)}</p></summary>{''.join(parts)}</details>"
    )


Field = tuple[str, str, object]
"""Name, type in words, and whether it is required."""


def _fields(title: str, fields: list[Field]) -> str:
    if not fields:
        return ""
    head = f"<h4>{escape(title)}</h4>" if title else ""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{'required' if required else ''}"
        for name, kind, required in fields
    )
    return f"{head}<table>{rows}</table>"


def _json_schema(holder: dict[str, Any]) -> dict[str, Any]:
    for media in (holder.get("content") or {}).values():
        schema: dict[str, Any] = media.get("schema") or {}
        return schema
    return {}


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> list[Field]:
    if "$ref" in schema:
        schema = schemas.get(schema["$ref"].rsplit("/", 1)[1], {})
    required = schema.get("required") or []
    return [
        (name, _type(member), name in required)
        for name, member in (schema.get("properties") or {}).items()
    ]


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1].rsplit("_", 1)[-1]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    several = schema.get("oneOf") or schema.get("anyOf")
    if several:
        return " | ".join(_type(one) for one in several)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items') or {})}"
    kind = schema.get("type", "any")
    return " | ".join(kind) if isinstance(kind, list) else str(kind)
