"""`omniroute runs ...`: what one undertaking caused."""

from typing import Annotated

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

app = App(
    name="runs",
    help=(
        "What one undertaking caused: tasks, tool calls and model calls as a tree.\n\n"
        "Asks a running gateway. A run is what a client named (`X-OmniRoute-Run-Id`), the trace of "
        "its trace context, an A2A context or an MCP session.\n\n"
        "Example: omniroute runs list"
    ),
)


@app.command(name="list")
def list_them(
    *, limit: Annotated[int, Parameter(help="How many.")] = 20, where: Where = HERE
) -> None:
    """List the latest runs with what they cost.

    Example: omniroute runs list --limit 5
    """
    from omniroute_app.cli import run_trees

    run_trees.list_runs(where, limit)


@app.command
def show(
    run_id: Annotated[str, Parameter(help="The run, as the list names it.")],
    /,
    *,
    where: Where = HERE,
) -> None:
    """Show a run as a tree, with time, tokens, cost and how each step ended.

    Example: omniroute runs show nightly-42
    """
    from omniroute_app.cli import run_trees

    run_trees.show_run(where, run_id)
