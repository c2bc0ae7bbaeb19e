"""`omniroute route ...`: why requests go where they go."""

from typing import Annotated

from cyclopts import App, Parameter

from omniroute_app.cli.where import HERE, Where

app = App(
    name="route",
    help=(
        "Why requests go where they go.\n\n"
        "Asks a running gateway: what would happen (simulate), what happened (explain), and what "
        "would happen now (replay). Take the id from the `x-request-id` header of an answer.\n\n"
        "Example: omniroute route simulate auto --tokens 20000"
    ),
)
RequestId = Annotated[str, Parameter(help="The `x-request-id` of an answer.")]


@app.command
def simulate(
    model: Annotated[str, Parameter(help="Model, combo or auto.")],
    /,
    *,
    tokens: Annotated[int, Parameter(help="How many tokens the prompt has.")] = 1_000,
    seed: Annotated[int | None, Parameter(help="Repeat the draws of an earlier plan.")] = None,
    where: Where = HERE,
) -> None:
    """Show the plan a request would get right now. Nothing is sent.

    Example: omniroute route simulate auto --tokens 20000
    """
    from omniroute_app.cli import decisions

    decisions.simulate(where, model, tokens, seed)


@app.command
def explain(request_id: RequestId, /, *, where: Where = HERE) -> None:
    """Say why a past request went where it went, attempt by attempt.

    Example: omniroute route explain 8d0c4f0e-7d4e-4f43-9a1c-4d6f5f0f2b77
    """
    from omniroute_app.cli import decisions

    decisions.explain(where, request_id)


@app.command
def replay(
    request_id: RequestId,
    /,
    *,
    against: Annotated[
        str,
        Parameter(
            help="What to plan with: `trace` itself, the `current` configuration, or a JSON file "
            "of changes to it (combos, withoutCombos, settings, pricing), which are not stored."
        ),
    ] = "trace",
    where: Where = HERE,
) -> None:
    """Plan a past request again and show what differs, and what it would cost.

    Example: omniroute route replay 8d0c4f0e-7d4e-4f43-9a1c-4d6f5f0f2b77 --against current
    """
    from omniroute_app.cli import decisions

    decisions.replay(where, request_id, against)
