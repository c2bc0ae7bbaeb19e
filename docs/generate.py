"""Writes the reference pages from the code. `--check` only says whether they are up to date."""

import dataclasses
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from omniroute import errors
from omniroute.catalog.provider import Provider
from omniroute.catalog.providers import PROVIDERS
from omniroute.dialects import CODECS
from omniroute.dialects.losses import REPLY_LOSSES, REQUEST_LOSSES, losses
from omniroute.errors import OmniRouteError
from omniroute.http.app import routes
from omniroute.http.errors import status_of
from omniroute.http.route_classes import route_class
from omniroute.routing.resilience.verdicts import OTHERWISE, TABLE
from omniroute.routing.settings import SETTING_ROWS, SettingRow
from omniroute_agents import SKILLS
from omniroute_app.cli.root import COMMANDS, build
from omniroute_app.cli.where import Where
from omniroute_app.settings import VARIABLES, Settings
from omniroute_mcp.tools import TOOLS

PAGES = Path(__file__).parent / "reference"
REQUIREMENTS = Path(__file__).parent.parent / "tests/requirements"
_NOTE = "<!-- Written by `make docs` from the code. Do not edit. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def codes(values: Iterable[str]) -> str:
    """Values as code, by comma."""
    return ", ".join(f"`{value}`" for value in values)


def usage_api(row: Provider) -> str:
    """Where a provider is asked what an account has left."""
    if row.quota is None:
        return ""
    path = f"`{row.quota.path}`"
    return f"[{path}]({row.quota.source})" if "://" in row.quota.source else path


def providers() -> str:
    """Every provider row."""
    rows = (
        (
            f"`{row.id}`",
            row.name,
            "" if row.search is not None else codes(row.names),
            "web search" if row.search is not None else row.dialect.value,
            row.auth.value,
            codes(row.env) or (f"port {row.probe_port}" if row.probe_port else ""),
            codes(row.needs),
            usage_api(row),
            row.source if row.source.startswith("docs/") else f"[source]({row.source})",
        )
        for row in PROVIDERS.values()
    )
    head = (
        "id",
        "name",
        "prefixes",
        "dialect",
        "auth",
        "found by",
        "needs options",
        "usage",
        "facts from",
    )
    return "# Providers\n\n" + table(head, rows)


def settings() -> str:
    """Every environment variable."""
    defaults = {field.name: field for field in msgspec.structs.fields(Settings)}
    rows = []
    for name, variable in VARIABLES.items():
        default = defaults[name].default
        shown = "" if default in (msgspec.NODEFAULT, None, "") else f"`{default}`"
        rows.append((codes(variable.names), shown, variable.told))
    return (
        "# Settings\n\nEnvironment variables, newest name first; the command line wins over them. "
        "Secrets (`STORAGE_ENCRYPTION_KEY`, `API_KEY_SECRET`, `JWT_SECRET`) are generated into the "
        "data directory unless they are set.\n\n"
        + table(("variable", "default", "meaning"), rows)
        + "\n\n## While it runs\n\n`GET` and `PATCH /api/settings`; null restores a default, and a "
        "change holds from the next request on.\n\n"
        + table(("setting", "default", "meaning"), [_row(*pair) for pair in SETTING_ROWS.items()])
    )


def _row(name: str, row: SettingRow) -> tuple[str, str, str]:
    default = msgspec.json.encode(row.default).decode()
    return f"`{name}`", f"`{default}`", row.told


def http() -> str:
    """Every HTTP route with its class."""
    rows: set[tuple[str, str, str, str]] = set()
    for route in routes("").routes:
        for handler in getattr(route, "route_handlers", ()):
            if not handler.include_in_schema:
                continue
            method = min(handler.http_methods - {"OPTIONS", "HEAD"})
            told = handler.description or inspect.getdoc(handler.fn) or ""
            rows.add((method, route.path_format, route_class(route.path, method), told))
    return (
        "# HTTP routes\n\nFor programs: `/docs/openapi.json`; the page: `/docs`. "
        "Management routes answer this machine, and keys with the scope `manage`.\n\n"
        + table(
            ("method", "path", "class", "what"),
            ((m, f"`{p}`", c, t) for m, p, c, t in sorted(rows, key=lambda row: (row[1], row[0]))),
        )
    )


def mcp_tools() -> str:
    """Every MCP tool."""
    rows = (
        (f"`{row.name}`", row.description, codes(sorted(row.scopes)), row.audit)
        for row in TOOLS.values()
    )
    return "# MCP tools\n\n" + table(("tool", "what", "scopes", "audit"), rows)


def a2a_skills() -> str:
    """Every A2A skill."""
    rows = (
        (f"`{s.id}`", s.description, "; ".join(s.examples), f"{s.time_limit_s:.0f} s")
        for s in SKILLS.values()
    )
    return "# A2A skills\n\n" + table(("skill", "what", "examples", "time limit"), rows)


def error_tree() -> str:
    """Every error class with its status."""
    classes = [
        one
        for one in vars(errors).values()
        if inspect.isclass(one) and issubclass(one, OmniRouteError) and one is not OmniRouteError
    ]
    rows = (
        (f"`{one.__name__}`", _status(one), (inspect.getdoc(one) or "").splitlines()[0])
        for one in classes
    )
    return (
        "# Errors\n\nOne tree, mapped per protocol. HTTP statuses; an upstream's own status is "
        "kept.\n\n" + table(("error", "status", "means"), rows)
    )


def _status(kind: type[OmniRouteError]) -> int:
    made = errors.ValidationFailed([("x", "y")]) if kind is errors.ValidationFailed else kind("x")
    return status_of(made)


def verdicts() -> str:
    """The failure table."""
    rows = (
        (
            f"`{verdict.reason}`",
            verdict.action,
            verdict.blame,
            verdict.terminal or verdict.cooldown or "",
            "yes" if verdict.trips_breaker else "",
        )
        for verdict in (*(row for _, row in TABLE), OTHERWISE)
    )
    return (
        "# Verdicts\n\nWhat follows when an attempt fails; the first row that matches wins. A "
        "cooldown is milliseconds, `backoff` grows from 3 s, a word is a state only an operator or "
        "a new credential ends.\n\n"
        + table(("verdict", "then", "blames", "cooldown", "trips breaker"), rows)
    )


def translation_losses() -> str:
    """What is lost between every ordered pair of dialects."""
    text = (
        "# What translations lose\n\nBetween the same dialect nothing is lost. Where a dialect has "
        "no word for something, this becomes of it; what cannot become anything, such as sound for "
        "a model that reads text, is refused and not lost. A fuzzer holds these tables true in "
        "both directions.\n"
    )
    for title, losing in (("Requests", REQUEST_LOSSES), ("Replies", REPLY_LOSSES)):
        text += f"\n## {title}\n"
        for source in CODECS:
            for target in CODECS:
                found = losses(losing, source, target)
                if found:
                    rows = sorted((thing, loss.becomes) for thing, loss in found.items())
                    text += f"\n### {source} to {target}\n\n"
                    text += table(("what", "becomes"), rows) + "\n"
    return text.rstrip("\n")


_SHARED = re.compile(r"\*\*Gateway\*\*:\n\n(?:\* .*\n)+\n?")
_EMPTY = re.compile(r", --empty-[\w-]+(?=`)")
_STARTED = re.compile(r"(?<=\w) -m \w+(?= (?:\[|COMMAND))")  # how the generator itself was started
_EXAMPLE = re.compile(r"^Example: (.+)$", re.MULTILINE)


def commands() -> str:
    """Every command with its options; those that all have stand once."""
    app = build([row.name for row in COMMANDS])
    text = app.generate_docs()
    body = _EMPTY.sub("", _SHARED.sub("", text[text.index("## omniroute ") :]))
    body = _STARTED.sub("", body)
    body = _EXAMPLE.sub(r"Example: `\1`", body)
    shared = (
        (f"`--{field.name.replace('_', '-')}`", get_args(field.type)[1].help)
        for field in dataclasses.fields(Where)
    )
    return (
        "# Commands\n\nThe [guide](../guides/command-line.md) says how they find the gateway and "
        "what they answer. Every command that asks a gateway has these options:\n\n"
        + table(("option", "what"), shared)
        + "\n\n"
        + re.sub(r"\n{3,}", "\n\n", body).strip()
    )


def protocol_requirements() -> str:
    """What the protocols promise, by section, and the tests that show it."""
    text = (
        "# What the protocols promise\n\nEvery behaviour that is promised over MCP and A2A, by the "
        "section of its specification, and the tests that show it. A test fails when a promise "
        "has no test, and when a protocol test shows none.\n"
    )
    for name, title in (("mcp", "MCP"), ("mcp-suite", "MCP conformance"), ("a2a", "A2A")):
        manifest = tomllib.loads((REQUIREMENTS / f"{name}.toml").read_text())
        sections = manifest.pop("sections")
        text += f"\n## {title}: {len(manifest)} promises\n"
        for section, heading in sections.items():
            rows = (
                (f"`{key}`", row["says"], ", ".join(map(_test_link, row["tests"])))
                for key, row in manifest.items()
                if row["section"] == section
            )
            text += f"\n### {section} {heading}\n\n{table(('id', 'what', 'shown by'), rows)}\n"
    return text.rstrip("\n")


def _test_link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name}](../../{path})"


BUILT: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "providers.md": providers,
    "settings.md": settings,
    "http.md": http,
    "mcp-tools.md": mcp_tools,
    "a2a-skills.md": a2a_skills,
    "errors.md": error_tree,
    "verdicts.md": verdicts,
    "translation-losses.md": translation_losses,
    "protocol-requirements.md": protocol_requirements,
}
"""Page file and what builds it."""


def pages() -> dict[str, str]:
    """Every page by file name."""
    return {name: f"{_NOTE}\n\n{build()}\n" for name, build in BUILT.items()}


def main() -> int:
    """Write the pages, or with `--check` compare them; 1 when they are stale."""
    stale = []
    for name, text in pages().items():
        path = PAGES / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if stale:
        sys.stdout.write(f"{'stale' if '--check' in sys.argv else 'written'}: {', '.join(stale)}\n")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    raise SystemExit(main())
