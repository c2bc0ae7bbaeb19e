"""`omniroute providers ...`: accounts of providers."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from omniroute.errors import InvalidRequest
from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

app = App(
    name="providers",
    help=(
        "Accounts of providers: one row for each credential.\n\n"
        "An account is named by its name, its id, or the beginning of its id.\n\n"
        "Example: omniroute providers add openai --name work"
    ),
)
Account = Annotated[str, Parameter(help="Name or id of the account.")]
ApiKey = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="Key of the provider; - reads a line. Asked for when it is not said.",
    ),
]


@app.command(name="list")
def list_(
    *,
    provider: Annotated[str | None, Parameter(help="Only accounts of this provider.")] = None,
    where: Where = HERE,
) -> None:
    """List accounts, keys masked.

    Example: omniroute providers list --provider openai
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    asked = gateway(where)
    found = asked.get("/api/providers")
    prefixes = {one["id"]: one["prefix"] for one in asked.get("/api/provider-nodes")["nodes"]}
    rows = [
        one
        for one in found["connections"]
        if provider in (None, one["provider"], prefixes.get(one["provider"]))
    ]
    columns = (
        Column("NAME", "name"),
        Column("PROVIDER", "provider"),
        Column("ACTIVE", "isActive"),
        Column("STATUS", "testStatus"),
        Column("PRIORITY", "priority"),
        Column("KEY", "apiKey"),
        Column("ID", "id"),
    )
    empty = "There are no accounts yet. Add one with: omniroute providers add PROVIDER"
    show(
        {**found, "connections": rows, "total": len(rows)},
        lambda: table(
            [{**one, "provider": prefixes.get(one["provider"], one["provider"])} for one in rows],
            columns,
            empty,
        ),
        as_json=where.json,
    )


@app.command
def add(
    provider: Annotated[str, Parameter(help="Provider id, or the prefix of a node.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Name of the account. Default: the provider.")] = (
        None
    ),
    api_key: ApiKey = None,
    base_url: Annotated[str | None, Parameter(help="Another address of the provider.")] = None,
    cx: Annotated[str | None, Parameter(help="Search engine id, of google-pse-search.")] = None,
    priority: Annotated[int | None, Parameter(help="1 is asked first.")] = None,
    no_key: Annotated[
        bool, Parameter(negative=(), help="The provider wants no key (local servers).")
    ] = False,
    where: Where = HERE,
) -> None:
    """Add an account; one with the same provider and name is replaced.

    Example: echo $OPENAI_API_KEY | omniroute providers add openai --api-key -
    """
    from omniroute_app.cli.credentials import secret_of
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import hidden, say, show

    if where.key is not None and where.url is None and api_key is None and not no_key:
        raise InvalidRequest(
            "--key is what the gateway is asked with. Give the provider's key with --api-key, or "
            "say --no-key."
        )
    asked = gateway(where)
    body: dict[str, Any] = {"provider": provider, "name": name or provider}
    if not no_key:
        key = hidden(f"API key of {provider}") if api_key is None else secret_of(api_key)
        if not key:
            raise InvalidRequest("No key was given. Give one with --api-key, or say --no-key.")
        body |= {"apiKey": key}
    body |= {"priority": priority} if priority is not None else {}
    options = {"baseUrl": base_url, "cx": cx}
    body |= {"providerSpecificData": {name: one for name, one in options.items() if one}}
    found = asked.ask("POST", "/api/providers", body)
    added = found["connection"]
    told = f"Added {added['name']} ({added['provider']}). Try it: omniroute providers test "
    show(found, lambda: say(f"{told}{added['id'][:8]}"), as_json=where.json)


@app.command
def test(
    account: Annotated[str | None, Parameter(help="Name or id; all active ones without.")] = None,
    /,
    *,
    model: Annotated[str | None, Parameter(help="Ask this model for one token.")] = None,
    where: Where = HERE,
) -> None:
    """Ask providers whether they take their credentials. Exit code 1 when one does not.

    Example: omniroute providers test work
    """
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.output import Column, busy, show, table

    asked = gateway(where)
    known = asked.get("/api/providers")["connections"]
    wanted = [pick(known, account, "account")] if account else [r for r in known if r["isActive"]]
    rows = []
    body = {"validationModelId": model} if model else {}
    for one in wanted:
        with busy(f"Asking {one['provider']} for {one['name']} ..."):
            report = asked.ask("POST", f"/api/providers/{part(one['id'])}/test", body)
        rows.append({**report, "id": one["id"], "name": one["name"], "provider": one["provider"]})
    columns = (
        Column("NAME", "name"),
        Column("PROVIDER", "provider"),
        Column("WORKS", "valid"),
        Column("LATENCY", lambda row: f"{row['latencyMs']} ms"),
        Column("ERROR", "error"),
    )
    show(rows, lambda: table(rows, columns, "There are no active accounts."), as_json=where.json)
    if not all(row["valid"] for row in rows):
        raise SystemExit(1)


@app.command
def update(
    account: Account,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Another name.")] = None,
    api_key: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Another key; - reads a line.")
    ] = None,
    priority: Annotated[int | None, Parameter(help="1 is asked first.")] = None,
    active: Annotated[bool | None, Parameter(help="Use it, or leave it alone.")] = None,
    max_concurrent: Annotated[
        int | None, Parameter(help="Requests at a time; 0 takes the limit away.")
    ] = None,
    where: Where = HERE,
) -> None:
    """Change what is named of an account.

    Example: omniroute providers update work --no-active
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.credentials import secret_of
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.output import say, show

    said = {"name": name, "priority": priority, "isActive": active}
    body: dict[str, Any] = {field: value for field, value in said.items() if value is not None}
    if max_concurrent is not None:
        body["maxConcurrent"] = max_concurrent or None
    if api_key is not None:
        body["apiKey"] = secret_of(api_key)
    if not body:
        raise InvalidRequest("Say what to change. See: omniroute providers update --help")
    asked = gateway(where)
    one = pick(asked.get("/api/providers")["connections"], account, "account")
    found = asked.ask("PATCH", f"/api/providers/{part(one['id'])}", body)
    show(found, lambda: say(f"Changed {found['connection']['name']}."), as_json=where.json)


@app.command
def disable(account: Account, /, *, where: Where = HERE) -> None:
    """Leave an account alone until it is enabled again.

    Example: omniroute providers disable work
    """
    update(account, active=False, where=where)


@app.command
def enable(account: Account, /, *, where: Where = HERE) -> None:
    """Use an account again.

    Example: omniroute providers enable work
    """
    update(account, active=True, where=where)


@app.command
def remove(account: Account, /, *, yes: Yes = False, where: Where = HERE) -> None:
    """Delete an account with its credential.

    Example: omniroute providers remove work --yes
    """
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.output import confirm, say, show

    asked = gateway(where)
    one = pick(asked.get("/api/providers")["connections"], account, "account")
    confirm(f"Delete the account {one['name']} of {one['provider']}?", yes=yes)
    found = asked.ask("DELETE", f"/api/providers/{part(one['id'])}")
    show(found, lambda: say(f"Deleted {one['name']}."), as_json=where.json)


@app.command
def models(
    account: Account,
    /,
    *,
    refresh: Annotated[bool, Parameter(negative=(), help="Ask the provider anew.")] = False,
    where: Where = HERE,
) -> None:
    """List the models an account serves.

    Example: omniroute providers models work --refresh
    """
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.output import Column, busy, show, table

    asked = gateway(where)
    one = pick(asked.get("/api/providers")["connections"], account, "account")
    with busy(f"Asking {one['provider']} ..."):
        found = asked.get(f"/api/providers/{part(one['id'])}/models", refresh=refresh)
    columns = (
        Column("MODEL", lambda row: f"{one['provider']}/{row['id']}"),
        Column("ENDPOINTS", "supportedEndpoints"),
    )
    show(found, lambda: table(found["models"], columns, "It serves none."), as_json=where.json)
