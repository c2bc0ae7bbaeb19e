"""`omniroute audit`: what was done to the gateway, and what was tried."""

from typing import Annotated

from cyclopts import Parameter

from omniroute_app.cli.where import HERE, Where


def audit(
    *,
    action: Annotated[str | None, Parameter(help="Only actions like this, e.g. apiKey.")] = None,
    actor: Annotated[str | None, Parameter(help="Only what this one did.")] = None,
    target: Annotated[str | None, Parameter(help="Only what was done to this.")] = None,
    status: Annotated[str | None, Parameter(help="Only what ended like this.")] = None,
    since: Annotated[str | None, Parameter(help="Not before this time, ISO-8601.")] = None,
    until: Annotated[str | None, Parameter(help="Not after this time, ISO-8601.")] = None,
    limit: Annotated[int, Parameter(help="How many entries, at most 500.")] = 20,
    where: Where = HERE,
) -> None:
    """What was done to the gateway, and what was tried, newest first.

    Example: omniroute audit --action apiKey --since 2030-01-01
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, clock, show, table

    found = gateway(where).get(
        "/api/compliance/audit-log",
        action=action,
        actor=actor,
        target=target,
        status=status,
        since=since,
        until=until,
        limit=limit,
    )
    columns = (
        Column("TIME", lambda row: clock(row["timestamp"])),
        Column("ACTION", "action"),
        Column("ACTOR", "actor"),
        Column("TARGET", "target"),
        Column("STATUS", "status"),
        Column("ADDRESS", "ip"),
        Column("DETAILS", lambda row: row["details"] or None),
    )
    show(found, lambda: table(found, columns, "There are no such entries."), as_json=where.json)
