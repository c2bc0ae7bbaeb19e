"""`omniroute proxies ...`: outbound proxies and what they are for."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

if TYPE_CHECKING:
    from omniroute_app.cli.gateway import Gateway

app = App(
    name="proxies",
    help=(
        "Outbound proxies: what upstreams are asked through.\n\n"
        "Example: omniroute proxies add office http://proxy.example.com:8080"
    ),
)
Proxy = Annotated[str, Parameter(help="Name or id of the proxy.")]
Scope = Annotated[
    Literal["global", "provider", "account", "combo"], Parameter(help="What it is for.")
]
ScopeId = Annotated[
    str | None, Parameter(help="Which one: provider id, account or combo. None for global.")
]
_PAGE = 200
"""The most rows the API gives at once."""


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List proxies and what they are for.

    Example: omniroute proxies list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    asked = gateway(where)
    rows = _proxies(asked)
    given = _all(asked, "/api/settings/proxies/assignments")

    def used(row: Any) -> list[str]:
        return [
            " ".join(filter(None, (one["scope"], one["scopeId"])))
            for one in given
            if one["proxyId"] == row["id"]
        ]

    columns = (
        Column("NAME", "name"),
        Column("ADDRESS", lambda row: f"{row['type']}://{row['host']}:{row['port']}"),
        Column("STATUS", "status"),
        Column("FOR", used),
        Column("ID", "id"),
    )
    empty = "There are no proxies. Add one with: omniroute proxies add NAME URL"
    show({"items": rows}, lambda: table(rows, columns, empty), as_json=where.json)


@app.command
def add(
    name: Annotated[str, Parameter(help="Name of the proxy.")],
    address: Annotated[
        str, Parameter(help="http, https or socks5://host:port; credentials may stand before @.")
    ],
    /,
    *,
    where: Where = HERE,
) -> None:
    """Add a proxy; it is used once it is assigned to something.

    Example: omniroute proxies add office socks5://proxy.example.com:1080
    """
    from urllib.parse import unquote, urlsplit

    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InvalidRequest("Write the address like http://proxy.example.com:8080.")
    body = {"name": name, "type": parts.scheme, "host": host, "port": port}
    body |= {"username": unquote(parts.username)} if parts.username else {}
    body |= {"password": unquote(parts.password)} if parts.password else {}
    found = gateway(where).ask("POST", "/api/settings/proxies", body)
    told = f"Added {name}. Use it: omniroute proxies assign {name} global"
    show(found, lambda: say(told), as_json=where.json)


@app.command
def assign(proxy: Proxy, scope: Scope, scope_id: ScopeId = None, /, *, where: Where = HERE) -> None:
    """Ask upstreams of a scope through a proxy.

    Example: omniroute proxies assign office provider openai
    """
    from omniroute_app.cli.gateway import gateway, pick
    from omniroute_app.cli.output import say, show

    asked = gateway(where)
    one = pick(_proxies(asked), proxy, "proxy")
    body = {"scope": scope, "scopeId": _scope_id(asked, scope, scope_id), "proxyId": one["id"]}
    found = asked.ask("PUT", "/api/settings/proxies/assignments", body)
    told = f"{' '.join(filter(None, (scope, scope_id)))} goes through {one['name']} now."
    show(found, lambda: say(told), as_json=where.json)


@app.command
def unassign(scope: Scope, scope_id: ScopeId = None, /, *, where: Where = HERE) -> None:
    """Take the proxy of a scope away.

    Example: omniroute proxies unassign provider openai
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    asked = gateway(where)
    body = {"scope": scope, "scopeId": _scope_id(asked, scope, scope_id)}
    found = asked.ask("PUT", "/api/settings/proxies/assignments", body)
    told = f"{' '.join(filter(None, (scope, scope_id)))} has no proxy of its own now."
    show(found, lambda: say(told), as_json=where.json)


@app.command
def test(proxy: Proxy, /, *, where: Where = HERE) -> None:
    """Ask through a proxy which address others see. Exit code 1 when it does not work.

    Example: omniroute proxies test office
    """
    from omniroute_app.cli.gateway import gateway, pick
    from omniroute_app.cli.output import busy, say, show

    asked = gateway(where)
    one = pick(_proxies(asked), proxy, "proxy")
    with busy(f"Asking through {one['name']} ..."):
        found = asked.ask("POST", "/api/settings/proxy/test", {"proxyId": one["id"]})
    told = (
        f"Others see {found.get('publicIp')}, after {found['latencyMs']} ms."
        if found["success"]
        else f"It does not work: {found.get('error')}"
    )
    show(found, lambda: say(told), as_json=where.json)
    if not found["success"]:
        raise SystemExit(1)


@app.command
def remove(
    proxy: Proxy,
    /,
    *,
    force: Annotated[
        bool, Parameter(negative=(), help="Also take it from what it is assigned to.")
    ] = False,
    yes: Yes = False,
    where: Where = HERE,
) -> None:
    """Delete a proxy.

    Example: omniroute proxies remove office --yes
    """
    from omniroute_app.cli.gateway import gateway, pick
    from omniroute_app.cli.output import confirm, say, show

    asked = gateway(where)
    one = pick(_proxies(asked), proxy, "proxy")
    confirm(f"Delete the proxy {one['name']}?", yes=yes)
    query = {"id": one["id"], "force": 1 if force else None}
    found = asked.ask("DELETE", "/api/settings/proxies", query=query)
    show(found, lambda: say(f"Deleted {one['name']}."), as_json=where.json)


def _proxies(asked: "Gateway") -> list[dict[str, Any]]:
    return _all(asked, "/api/settings/proxies")


def _all(asked: "Gateway", path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = asked.get(path, limit=_PAGE, offset=len(rows))
        rows += page["items"]
        if not page["items"] or len(rows) >= page["page"]["total"]:
            return rows


def _scope_id(asked: "Gateway", scope: str, wanted: str | None) -> str | None:
    """The id the API takes: accounts and combos may be named."""
    from omniroute_app.cli.gateway import pick

    if wanted is None or scope in ("global", "provider"):
        return wanted
    path, member = {
        "account": ("/api/providers", "connections"),
        "combo": ("/api/combos", "combos"),
    }[scope]
    return str(pick(asked.get(path)[member], wanted, scope)["id"])
