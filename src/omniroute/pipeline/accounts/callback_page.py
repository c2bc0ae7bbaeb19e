"""The page a browser comes back to after a sign-in: plain HTML, nothing loaded, nothing run."""

from collections.abc import Mapping
from html import escape

HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""The address of the page holds a code: it must not be kept, framed or passed on."""

MOST_SHOWN = 4_096

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - OmniRoute</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem}}
input{{font:14px monospace;width:100%;box-sizing:border-box;padding:.5rem}}</style></head>
<body><h1>{title}</h1>{body}</body></html>
"""


def finished_page() -> str:
    """Somebody was waiting for this sign-in, and has it."""
    return _page("Signed in", "<p>You can close this page and go back to the gateway.</p>")


def code_page(code: str, state: str) -> str:
    """The code, for copying."""
    return _page(
        "Almost done",
        "<p>Copy this code to where you began to sign in.</p>"
        f"{_field('Code', code)}{_field('State', state)}",
    )


def error_page(error: str, description: str) -> str:
    """What the provider said instead."""
    told = f"<p>The provider answered <code>{_shown(error)}</code>.</p>"
    more = f"<p>{_shown(description)}</p>" if description else ""
    return _page("Not signed in", f"{told}{more}<p>Begin again at the gateway.</p>")


def empty_page() -> str:
    """Nothing came along."""
    return _page("Nothing to see", "<p>This page is where providers send browsers back to.</p>")


def _field(name: str, value: str) -> str:
    if not value:
        return ""
    return f'<p><label>{name}<input readonly value="{_shown(value)}"></label></p>'


def _shown(text: str) -> str:
    return escape(text[:MOST_SHOWN], quote=True)


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body)
