"""`omniroute combos ...`: named lists of targets."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

app = App(
    name="combos",
    help=(
        "Combos: named lists of targets that answer as one model.\n\n"
        "Example: omniroute combos create cheap groq/llama-3.3-70b-versatile openai/gpt-5-mini"
    ),
)
Combo = Annotated[str, Parameter(help="Name or id of the combo.")]


@app.command(name="list")
def list_(*, where: Where = HERE) -> None:
    """List combos in their order.

    Example: omniroute combos list
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    found = gateway(where).get("/api/combos")
    columns = (
        Column("NAME", "name"),
        Column("STRATEGY", "strategy"),
        Column("ACTIVE", "isActive"),
        Column("TARGETS", lambda row: [_target(step) for step in row["models"]]),
        Column("ID", "id"),
    )
    empty = "There are no combos. Add one with: omniroute combos create NAME MODEL MODEL"
    show(found, lambda: table(found["combos"], columns, empty), as_json=where.json)


@app.command
def show(combo: Combo, /, *, where: Where = HERE) -> None:
    """Show one combo with its targets.

    Example: omniroute combos show cheap
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, pick

    one = pick(gateway(where).get("/api/combos")["combos"], combo, "combo")

    def told() -> None:
        names = ("name", "id", "strategy", "isActive", "config", "allowedProviders", "updatedAt")
        output.facts((name, one[name]) for name in names)
        columns = (
            output.Column("TARGET", _target),
            output.Column("WEIGHT", "weight"),
            output.Column("LABEL", "label"),
            output.Column("ACCOUNT", "connectionId"),
        )
        output.table(one["models"], columns)

    output.show(one, told, as_json=where.json)


@app.command
def create(
    name: Annotated[str, Parameter(help="What requests will ask for.")],
    targets: Annotated[
        list[str], Parameter(help="Models, or names of other combos, in their order.")
    ],
    /,
    *,
    strategy: Annotated[
        str | None, Parameter(help="How the targets are ordered, such as priority or weighted.")
    ] = None,
    weight: Annotated[
        list[float] | None, Parameter(help="Weights of the targets, in the same order.")
    ] = None,
    where: Where = HERE,
) -> None:
    """Add a combo; it answers as a model from the next request on.

    Example: omniroute combos create cheap groq/llama-3.3-70b-versatile openai/gpt-5-mini
    """
    from omniroute.errors import InvalidRequest
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway

    body: dict[str, Any] = {"name": name, "models": list(targets)}
    if strategy is not None:
        body["strategy"] = _known_strategy(strategy)
    if weight is not None:
        if len(weight) != len(targets):
            raise InvalidRequest(f"{len(targets)} targets need {len(targets)} weights.")
        body["models"] = [
            {"model": target, "weight": share}
            for target, share in zip(targets, weight, strict=True)
        ]
    found = gateway(where).ask("POST", "/api/combos", body)
    told = f"Added {found['name']} ({found['strategy']}). Try it: omniroute combos test "
    output.show(found, lambda: output.say(f"{told}{found['name']}"), as_json=where.json)


@app.command
def delete(combo: Combo, /, *, yes: Yes = False, where: Where = HERE) -> None:
    """Delete a combo.

    Example: omniroute combos delete cheap --yes
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, part, pick

    asked = gateway(where)
    one = pick(asked.get("/api/combos")["combos"], combo, "combo")
    output.confirm(f"Delete the combo {one['name']}?", yes=yes)
    found = asked.ask("DELETE", f"/api/combos/{part(one['id'])}")
    output.show(found, lambda: output.say(f"Deleted {one['name']}."), as_json=where.json)


@app.command
def test(combo: Combo, /, *, where: Where = HERE) -> None:
    """Ask every target a small question. Exit code 1 when none answers.

    Example: omniroute combos test cheap
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, pick

    asked = gateway(where)
    one = pick(asked.get("/api/combos")["combos"], combo, "combo")
    with output.busy(f"Asking {len(one['models'])} targets ..."):
        found = asked.ask("POST", "/api/combos/test", {"comboName": one["name"]})
    columns = (
        output.Column("TARGET", "model"),
        output.Column("STATUS", "status"),
        output.Column("LATENCY", lambda row: f"{row['latencyMs']} ms"),
        output.Column("SAID", lambda row: row.get("error") or row.get("responseText")),
    )
    output.show(found, lambda: output.table(found["results"], columns), as_json=where.json)
    if not found["resolvedBy"]:
        raise SystemExit(1)


def _target(step: Any) -> str:
    return str(step.get("model") or f"combo {step.get('comboName')}")


def _known_strategy(wanted: str) -> str:
    from omniroute.catalog.names import did_you_mean
    from omniroute.errors import InvalidRequest
    from omniroute.routing.strategies import STRATEGIES

    if wanted not in STRATEGIES:
        guess = did_you_mean(wanted, STRATEGIES)
        raise InvalidRequest(
            f"There is no strategy '{wanted}'.{guess} Known: {', '.join(STRATEGIES)}."
        )
    return wanted
