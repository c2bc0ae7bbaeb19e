"""`omniroute budget ...`: what keys, sessions, runs and tasks may spend."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

if TYPE_CHECKING:
    from omniroute_app.cli.gateway import Gateway

app = App(
    name="budget",
    help=(
        "What keys, sessions, runs and A2A tasks may spend.\n\n"
        "Example: omniroute budget set key ci --daily 5"
    ),
)
Scope = Annotated[
    Literal["key", "session", "run", "task"], Parameter(help="What kind of thing is limited.")
]
ScopeId = Annotated[str, Parameter(help="Which one: name or id of a key, id of the others.")]


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List budgets and where they stand.

    Example: omniroute budget list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, money, show, table

    asked = gateway(where)
    found = asked.get("/api/usage/budget/scopes")
    names = {one["id"]: one["name"] for one in asked.get("/api/keys")["keys"]}
    rows = [
        {**one, "name": names.get(one["apiKeyId"], one["apiKeyId"]), **window}
        for one in found["budgets"]
        for window in one["windows"]
    ]
    columns = (
        Column("SCOPE", "scope"),
        Column("NAME", "name"),
        Column("WINDOW", "period"),
        Column("LIMIT", lambda row: money(row["limitUsd"])),
        Column("SPENT", lambda row: money(row["spentUsd"])),
        Column("RESERVED", lambda row: money(row["reservedUsd"])),
        Column("LEFT", lambda row: money(row["remainingUsd"])),
        Column("THEN", "action"),
    )
    empty = "There are no budgets. Set one with: omniroute budget set key NAME --daily 5"
    show(found, lambda: table(rows, columns, empty), as_json=where.json)


@app.command(name="set")
def set_(
    scope: Scope,
    scope_id: ScopeId,
    /,
    *,
    daily: Annotated[float | None, Parameter(help="USD a day.")] = None,
    weekly: Annotated[float | None, Parameter(help="USD a week.")] = None,
    monthly: Annotated[float | None, Parameter(help="USD a month.")] = None,
    total: Annotated[float | None, Parameter(help="USD in all.")] = None,
    warn_at: Annotated[float | None, Parameter(help="Share at which to warn, 0 to 1.")] = None,
    action: Annotated[
        Literal["deny", "degrade", "alert"] | None,
        Parameter(help="At the limit: refuse, ask only what is free, or warn."),
    ] = None,
    where: Where = HERE,
) -> None:
    """Set or replace a budget; it holds from the next request on.

    Example: omniroute budget set key ci --daily 5 --monthly 60
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    said: dict[str, Any] = {
        "dailyLimitUsd": daily,
        "weeklyLimitUsd": weekly,
        "monthlyLimitUsd": monthly,
        "totalLimitUsd": total,
        "warningThreshold": warn_at,
        "action": action,
    }
    asked = gateway(where)
    body = {name: value for name, value in said.items() if value is not None}
    body |= {"scope": scope, "scopeId": _id(asked, scope, scope_id)}
    found = asked.ask("POST", "/api/usage/budget/scopes", body)
    told = f"The budget of {scope} {scope_id} holds from the next request on."
    show(found, lambda: say(told), as_json=where.json)


@app.command
def remove(scope: Scope, scope_id: ScopeId, /, *, yes: Yes = False, where: Where = HERE) -> None:
    """Remove a budget.

    Example: omniroute budget remove key ci --yes
    """
    from omniroute_app.cli.gateway import gateway, pick
    from omniroute_app.cli.output import confirm, say, show

    asked = gateway(where)
    wanted = _id(asked, scope, scope_id)
    known = [
        {"id": one["apiKeyId"]}
        for one in asked.get("/api/usage/budget/scopes")["budgets"]
        if one["scope"] == scope
    ]
    pick(known, wanted, f"budget of a {scope}", ("id",))
    confirm(f"Remove the budget of {scope} {scope_id}?", yes=yes)
    query = {"scope": scope, "scopeId": wanted}
    found = asked.ask("DELETE", "/api/usage/budget/scopes", query=query)
    show(found, lambda: say(f"Removed the budget of {scope} {scope_id}."), as_json=where.json)


def _id(asked: "Gateway", scope: str, wanted: str) -> str:
    if scope != "key":
        return wanted
    from omniroute_app.cli.gateway import pick

    return str(pick(asked.get("/api/keys")["keys"], wanted, "key")["id"])
