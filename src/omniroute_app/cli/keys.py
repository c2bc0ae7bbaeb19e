"""`omniroute keys ...`: keys of the gateway itself."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

app = App(
    name="keys",
    help=(
        "Keys of the gateway itself. A key is shown once, when it is made.\n\n"
        "A key is named by its name, its id, or the beginning of its id.\n\n"
        "Example: omniroute keys create ci --requests-per-minute 60"
    ),
)
Wanted = Annotated[str, Parameter(help="Name or id of the key.")]
Scopes = Annotated[
    list[str] | None, Parameter(name="--scope", help="What it may do; may be given again.")
]
Models = Annotated[
    list[str] | None, Parameter(name="--model", help="Models it may use; may be given again.")
]
Addresses = Annotated[
    list[str] | None, Parameter(name="--ip", help="Addresses it may come from, or networks.")
]
PerDay = Annotated[int | None, Parameter(help="Requests a day; 0 takes the limit away.")]
PerMinute = Annotated[int | None, Parameter(help="Requests a minute; 0 takes the limit away.")]
Expires = Annotated[
    str | None, Parameter(help="When it ends, ISO-8601; `never` takes the end away.")
]
Sessions = Annotated[int | None, Parameter(help="Sessions at a time; 0 is any number.")]


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List keys, masked.

    Example: omniroute keys list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, clock, show, table

    found = gateway(where).get("/api/keys")
    columns = (
        Column("NAME", "name"),
        Column("KEY", "key"),
        Column("SCOPES", "scopes"),
        Column("ACTIVE", "isActive"),
        Column("EXPIRES", lambda row: clock(row["expiresAt"])),
        Column("LAST USED", lambda row: clock(row["lastUsedAt"])),
        Column("ID", "id"),
    )
    empty = "There are no keys. Make one with: omniroute keys create NAME"
    show(found, lambda: table(found["keys"], columns, empty), as_json=where.json)


@app.command
def create(
    name: Annotated[str, Parameter(help="What the key is for.")],
    /,
    *,
    scope: Scopes = None,
    model: Models = None,
    ip: Addresses = None,
    requests_per_day: PerDay = None,
    requests_per_minute: PerMinute = None,
    expires: Expires = None,
    max_sessions: Sessions = None,
    where: Where = HERE,
) -> None:
    """Make a key and print it, once.

    Example: omniroute keys create ci --scope manage --expires 2030-01-01T00:00:00Z
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import new_secret, show

    body = {
        "name": name,
        **_policy(scope, model, ip, requests_per_day, requests_per_minute, expires, max_sessions),
    }
    found = gateway(where).ask("POST", "/api/keys", body)
    hint = f"This is the key {found['name']} (id {found['id']}). It is not shown again."
    show(found, lambda: new_secret(found["key"], hint), as_json=where.json)


@app.command
def show(wanted: Wanted, /, *, where: Where = HERE) -> None:
    """Show one key, masked, with its policy.

    Example: omniroute keys show ci
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, pick

    one = pick(gateway(where).get("/api/keys")["keys"], wanted, "key")
    output.show(one, lambda: output.facts(one.items()), as_json=where.json)


@app.command
def update(
    wanted: Wanted,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Another name.")] = None,
    active: Annotated[bool | None, Parameter(help="Let it in, or not.")] = None,
    scope: Scopes = None,
    model: Models = None,
    ip: Addresses = None,
    requests_per_day: PerDay = None,
    requests_per_minute: PerMinute = None,
    expires: Expires = None,
    max_sessions: Sessions = None,
    where: Where = HERE,
) -> None:
    """Change what is named of a key's policy; it holds from the next request on.

    Example: omniroute keys update ci --requests-per-day 5000 --model openai/*
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, part, pick

    body = _policy(scope, model, ip, requests_per_day, requests_per_minute, expires, max_sessions)
    body |= {"name": name} if name is not None else {}
    body |= {"isActive": active} if active is not None else {}
    if not body:
        raise InvalidRequest("Say what to change. See: omniroute keys update --help")
    asked = gateway(where)
    one = pick(asked.get("/api/keys")["keys"], wanted, "key")
    found = asked.ask("PATCH", f"/api/keys/{part(one['id'])}", body)
    output.show(found, lambda: output.say(f"Changed {one['name']}."), as_json=where.json)


@app.command
def rotate(
    wanted: Wanted,
    /,
    *,
    overlap: Annotated[
        str, Parameter(help="How long the old text goes on counting, such as 24h.")
    ] = "0",
    yes: Yes = False,
    where: Where = HERE,
) -> None:
    """Give a key a new text and print it, once.

    Example: omniroute keys rotate ci --overlap 24h
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, part, pick
    from omniroute_app.cli.words import seconds

    overlap_s = seconds(overlap)
    asked = gateway(where)
    one = pick(asked.get("/api/keys")["keys"], wanted, "key")
    if not overlap_s:
        output.confirm(f"The old text of {one['name']} stops working at once. Rotate?", yes=yes)
    path = f"/api/keys/{part(one['id'])}/regenerate"
    found = asked.ask("POST", path, {"overlapSeconds": overlap_s})
    old = f"counts for another {overlap_s} seconds" if overlap_s else "does not count any more"
    hint = f"This is the new text of {one['name']}; it is not shown again. The old one {old}."
    output.show(found, lambda: output.new_secret(found["key"], hint), as_json=where.json)


@app.command
def delete(wanted: Wanted, /, *, yes: Yes = False, where: Where = HERE) -> None:
    """Delete a key and its budget; it stops working at once.

    Example: omniroute keys delete ci --yes
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, part, pick

    asked = gateway(where)
    one = pick(asked.get("/api/keys")["keys"], wanted, "key")
    output.confirm(f"Delete the key {one['name']}?", yes=yes)
    found = asked.ask("DELETE", f"/api/keys/{part(one['id'])}")
    output.show(found, lambda: output.say(f"Deleted {one['name']}."), as_json=where.json)


def _policy(
    scope: list[str] | None,
    model: list[str] | None,
    ip: list[str] | None,
    requests_per_day: int | None,
    requests_per_minute: int | None,
    expires: str | None,
    max_sessions: int | None,
) -> dict[str, Any]:
    """What is said of a key's policy, as the API takes it: a limit of 0 is none."""
    said: dict[str, Any] = {
        "scopes": scope,
        "allowedModels": model,
        "ipAllowlist": ip,
        "expiresAt": expires,
        "maxSessions": max_sessions,
    }
    body = {name: value for name, value in said.items() if value is not None}
    limits = {"maxRequestsPerDay": requests_per_day, "maxRequestsPerMinute": requests_per_minute}
    body |= {name: value or None for name, value in limits.items() if value is not None}
    if expires == "never":
        body["expiresAt"] = None
    return body
