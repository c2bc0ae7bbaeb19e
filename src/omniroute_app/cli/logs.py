"""`omniroute logs`: the calls of the gateway, as they were and as they come."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from omniroute_app.cli.where import HERE, Where

if TYPE_CHECKING:
    from omniroute_app.cli.gateway import Gateway

_PAUSE_S = 1.0
_MOST = 1_000
"""The most calls one question gets."""


def logs(
    *,
    follow: Annotated[
        bool, Parameter(alias="-f", negative=(), help="Keep printing new calls until Ctrl-C.")
    ] = False,
    limit: Annotated[int, Parameter(help="How many calls, at most 1000.")] = 20,
    status: Annotated[str | None, Parameter(help="`ok`, `error`, or a number.")] = None,
    model: Annotated[str | None, Parameter(help="Only this model.")] = None,
    provider: Annotated[str | None, Parameter(help="Only this provider.")] = None,
    account: Annotated[str | None, Parameter(help="Only this account.")] = None,
    combo: Annotated[str | None, Parameter(help="Only this combo.")] = None,
    of_key: Annotated[str | None, Parameter(help="Only this gateway key.")] = None,
    search: Annotated[str | None, Parameter(help="Only calls with this text.")] = None,
    where: Where = HERE,
) -> None:
    """The calls of the gateway, newest last.

    With `--json` and `--follow` every call is a line of its own.

    Example: omniroute logs --follow --status error
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import show, table

    query = {
        "status": status,
        "model": model,
        "provider": provider,
        "account": account,
        "combo": combo,
        "apiKey": of_key,
        "search": search,
    }
    asked = gateway(where)
    if follow:
        for row in _coming(asked, query, limit):
            _print_line(row, as_json=where.json)
        return
    rows = asked.get("/api/usage/call-logs", limit=limit, **query)[::-1]
    show(rows, lambda: table(rows, _columns(), "There are no such calls."), as_json=where.json)


def _coming(asked: "Gateway", query: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    """The newest calls, then every call that is recorded from now on."""
    import time

    seen: set[str] = set()
    rows = asked.get("/api/usage/call-logs", limit=_MOST, **query)[::-1]
    yield from rows[-limit:] if limit > 0 else ()
    while True:
        # What is not among the newest any more cannot come back.
        seen = {row["id"] for row in rows}
        time.sleep(_PAUSE_S)
        rows = asked.get("/api/usage/call-logs", limit=_MOST, **query)[::-1]
        yield from (row for row in rows if row["id"] not in seen)


def _columns() -> tuple[Any, ...]:
    from omniroute_app.cli.output import Column, clock, money

    return (
        Column("TIME", lambda row: clock(row["timestamp"])),
        Column("STATUS", lambda row: row["status"] or row["outcome"]),
        Column("ASKED FOR", "requestedModel"),
        Column("TARGET", lambda row: row["model"] and f"{row['provider']}/{row['model']}"),
        Column("KEY", "apiKeyName"),
        Column("TOKENS", lambda row: f"{row['tokens']['in']}+{row['tokens']['out']}"),
        Column("COST", lambda row: money(row["cost"])),
        Column("TIME TAKEN", lambda row: f"{row['duration']} ms"),
        Column("ERROR", "error"),
        Column("ID", "id"),
    )


def _print_line(row: dict[str, Any], *, as_json: bool) -> None:
    import json

    from omniroute_app.cli.output import say

    say(json.dumps(row) if as_json else "\t".join(column.of(row) for column in _columns()))
