"""The page that shows the OpenAPI document: plain HTML, no scripts, works offline."""

from html import escape
from typing import Any

from litestar.connection import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

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
    by_tag: dict[str, list[str]] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "responses" in operation:
                tag = (operation.get("tags") or ["Other"])[0]
                by_tag.setdefault(tag, []).append(_operation(path, method, operation))
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


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer.get('description') or '')}"
        for status, answer in sorted(operation["responses"].items())
    )
    parameters = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
        for one in operation.get("parameters") or []
    )
    told = operation.get("description") or ""
    return (
        f"<details><summary><b class=m>{method.upper()}</b><code>{escape(path)}</code>"
        f"<p class=s>{escape(operation.get('summary') or '')}</p></summary>"
        f"<p>{escape(told)}</p><table>{parameters}{rows}</table></details>"
    )
