"""`omniroute usage`: what was used and what it cost."""

from typing import Annotated, Literal

from cyclopts import Parameter

from omniroute_app.cli.where import HERE, Where

_BY = {"provider": "byProvider", "model": "byModel", "account": "byAccount", "key": "byApiKey"}


def usage(
    *,
    period: Annotated[
        Literal["1h", "24h", "7d", "30d", "all"], Parameter(help="How far back.")
    ] = "30d",
    by: Annotated[
        Literal["provider", "model", "account", "key"], Parameter(help="What to sum up by.")
    ] = "model",
    where: Where = HERE,
) -> None:
    """What was used and what it cost, the dearest first.

    Example: omniroute usage --period 24h --by key
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, clock, money, show, table

    found = gateway(where).get("/api/usage/history", period=period)
    lines = [{"name": _name(by, name, line), **line} for name, line in found[_BY[by]].items()]
    lines.sort(key=lambda line: (-line["cost"], -line["requests"]))
    total = {
        "name": "total",
        "requests": found["totalRequests"],
        "promptTokens": found["totalPromptTokens"],
        "completionTokens": found["totalCompletionTokens"],
        "cost": found["totalCost"],
    }
    columns = (
        Column(by.upper(), "name"),
        Column("REQUESTS", "requests"),
        Column("TOKENS IN", "promptTokens"),
        Column("TOKENS OUT", "completionTokens"),
        Column("COST", lambda row: money(row["cost"])),
        Column("LAST USED", lambda row: clock(row.get("lastUsed"))),
    )
    rows = [*lines, total] if lines else []
    empty = "Nothing was used in this time."
    show(found, lambda: table(rows, columns, empty), as_json=where.json)


def _name(by: str, name: str, line: dict[str, object]) -> object:
    readable = {"account": "account", "key": "apiKeyName"}.get(by)
    return (readable and line.get(readable)) or name
