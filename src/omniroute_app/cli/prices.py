"""`omniroute prices ...`: what models cost, as a running gateway knows it."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

app = App(
    name="prices",
    help=(
        "What models cost, as a running gateway knows it.\n\n"
        "Example: omniroute prices sync --dry-run"
    ),
)


@app.command
def sync(
    *,
    source: Annotated[
        list[Literal["litellm", "modelsDev"]] | None,
        Parameter(help="Which list; may be given again. Default: those of PRICING_SYNC_SOURCES."),
    ] = None,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Show what the lists say and keep nothing.")
    ] = False,
    where: Where = HERE,
) -> None:
    """Ask public price lists for prices. What operators have stated holds against them.

    Example: omniroute prices sync --source litellm --dry-run
    """
    from omniroute_app.cli import decisions

    decisions.sync_prices(where, source, dry_run=dry_run)
