"""`omniroute settings ...`: what can be changed while the gateway runs."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

app = App(
    name="settings",
    help=(
        "Settings that can be changed while the gateway runs.\n\n"
        "What is read at the start only comes from the environment; see the reference.\n\n"
        "Example: omniroute settings set fallbackStrategy round-robin"
    ),
)
Name = Annotated[str, Parameter(help="Name of the setting.")]


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List every setting with its value in force.

    Example: omniroute settings list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    found = gateway(where).get("/api/settings")
    rows = [{"name": name, "value": value} for name, value in found.items()]
    columns = (Column("SETTING", "name"), Column("VALUE", lambda row: _written(row["value"])))
    show(found, lambda: table(rows, columns), as_json=where.json)


@app.command
def get(name: Name, /, *, where: Where = HERE) -> None:
    """Print the value of one setting.

    Example: omniroute settings get mcpTransport
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    value = _known(gateway(where).get("/api/settings"), name)
    show(value, lambda: say(_written(value)), as_json=where.json)


@app.command(name="set")
def set_(
    name: Name,
    value: Annotated[str, Parameter(help="JSON, or a text.")],
    /,
    *,
    where: Where = HERE,
) -> None:
    """Change a setting; it holds from the next request on.

    Example: omniroute settings set fallbackStrategy round-robin
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    asked = gateway(where)
    old = _known(asked.get("/api/settings"), name)
    found = asked.ask("PATCH", "/api/settings", {name: _read(value, old)})
    told = f"{name} is {_written(found[name])} now."
    show({name: found[name]}, lambda: say(told), as_json=where.json)


@app.command
def reset(name: Name, /, *, where: Where = HERE) -> None:
    """Go back to the default of a setting.

    Example: omniroute settings reset fallbackStrategy
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import say, show

    asked = gateway(where)
    _known(asked.get("/api/settings"), name)
    found = asked.ask("PATCH", "/api/settings", {name: None})
    told = f"{name} is {_written(found[name])} again."
    show({name: found[name]}, lambda: say(told), as_json=where.json)


def _known(settings: dict[str, Any], name: str) -> Any:
    if name in settings:
        return settings[name]
    from omniroute.catalog.names import did_you_mean
    from omniroute.errors import NotFound

    raise NotFound(
        f"There is no setting '{name}'.{did_you_mean(name, settings)} See: omniroute settings list"
    )


def _read(text: str, old: Any) -> Any:
    """What a text means; where there is a text now, any text is one."""
    if isinstance(old, str):
        return text
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _written(value: Any) -> str:
    import json

    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
