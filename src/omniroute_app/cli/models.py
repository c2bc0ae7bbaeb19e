"""`omniroute models ...`: models and what else they are called."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where
from omniroute_app.cli.words import Yes

app = App(
    name="models",
    help="Models and their aliases.\n\nExample: omniroute models list --provider openai",
)


@app.command(name="list")
def list_(
    *,
    provider: Annotated[str | None, Parameter(help="Only models of this provider.")] = None,
    search: Annotated[str, Parameter(help="Only models with this in their name.")] = "",
    every: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also models no account serves.")
    ] = False,
    where: Where = HERE,
) -> None:
    """List the models that could be asked right now.

    Example: omniroute models list --search mini
    """
    from omniroute_app.cli.gateway import gateway
    from omniroute_app.cli.output import Column, show, table

    found = gateway(where).get("/api/models", all=every)
    rows = [
        one
        for one in found["models"]
        if provider in (None, one["provider"]) and search.lower() in one["fullModel"].lower()
    ]
    columns = (
        Column("MODEL", "fullModel"),
        Column("PROVIDER", "provider"),
        Column("AVAILABLE", "available"),
    )
    empty = "No model fits. Add an account with: omniroute providers add PROVIDER"
    show({"models": rows}, lambda: table(rows, columns, empty), as_json=where.json)


@app.command
def show(
    model: Annotated[str, Parameter(help="The model, as `provider/model` or alone.")],
    /,
    *,
    where: Where = HERE,
) -> None:
    """What is known of a model: its limits, what it takes, what it costs.

    Example: omniroute models show openai/gpt-5
    """
    from omniroute.errors import NotFound
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway

    asked = gateway(where)
    rows = _known(asked.get("/api/models/catalog")["catalog"])
    fitting = [row for row in rows if model in (row["model"], row["id"])]
    if not fitting:
        from omniroute.catalog.names import did_you_mean

        guess = did_you_mean(model, [row["model"] for row in rows])
        raise NotFound(f"There is no model '{model}'.{guess} See: omniroute models list --all")
    prices = asked.get("/api/pricing")
    found = [{**row, "pricing": prices.get(row["provider"], {}).get(row["id"])} for row in fitting]

    def told() -> None:
        for row in found:
            output.facts(
                (
                    ("model", row["model"]),
                    ("context", row["context_length"]),
                    ("longest answer", row["max_output_tokens"]),
                    ("reads", row["input_modalities"]),
                    ("writes", row["output_modalities"]),
                    ("endpoints", row["supported_endpoints"]),
                    ("capabilities", row["capabilities"]),
                    ("USD per million tokens", row["pricing"]),
                )
            )

    output.show(found, told, as_json=where.json)


def _known(catalog: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**one, "provider": provider, "model": f"{provider}/{one['id']}"}
        for provider, entry in catalog.items()
        for one in entry["models"]
    ]


@app.command
def aliases(*, where: Where = HERE) -> None:
    """List the names that stand for models.

    Example: omniroute models aliases
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway

    found = gateway(where).get("/api/models/alias")
    rows = [{"alias": alias, "model": model} for alias, model in found["aliases"].items()]
    columns = (output.Column("ALIAS", "alias"), output.Column("MODEL", "model"))
    empty = "There are no aliases. Add one with: omniroute models alias NAME MODEL"
    output.show(found, lambda: output.table(rows, columns, empty), as_json=where.json)


@app.command
def alias(
    name: Annotated[str, Parameter(help="The name, or a pattern with * and ?.")],
    model: Annotated[str, Parameter(help="What it stands for.")],
    /,
    *,
    where: Where = HERE,
) -> None:
    """Let a name stand for a model.

    Example: omniroute models alias fast groq/llama-3.3-70b-versatile
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway

    found = gateway(where).ask("POST", "/api/models/alias", {"alias": name, "model": model})
    told = f"{found['alias']} stands for {found['model']}."
    output.show(found, lambda: output.say(told), as_json=where.json)


@app.command
def unalias(
    name: Annotated[str, Parameter(help="The alias.")], /, *, yes: Yes = False, where: Where = HERE
) -> None:
    """Forget an alias.

    Example: omniroute models unalias fast --yes
    """
    from omniroute_app.cli import output
    from omniroute_app.cli.gateway import gateway, pick

    asked = gateway(where)
    known = [{"id": one} for one in asked.get("/api/models/alias")["aliases"]]
    pick(known, name, "alias", ("id",))
    output.confirm(f"Forget the alias {name}?", yes=yes)
    found = asked.ask("DELETE", "/api/models/alias", query={"alias": name})
    output.show(found, lambda: output.say(f"Forgot {name}."), as_json=where.json)
