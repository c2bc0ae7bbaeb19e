"""`omniroute completion`: the shell fills in commands and options."""

from typing import Annotated, Literal

from cyclopts import Parameter


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"] | None, Parameter(help="Default: the shell of the terminal.")
    ] = None,
    /,
    *,
    install: Annotated[
        bool, Parameter(negative=(), help="Write it where the shell looks, instead of printing.")
    ] = False,
) -> None:
    """Print the completion script of a shell, or install it.

    Example: omniroute completion zsh --install
    """
    from cyclopts.exceptions import CycloptsError

    from omniroute.errors import InvalidRequest
    from omniroute_app.cli.output import say
    from omniroute_app.cli.root import build

    app = build()
    try:
        if install:
            say(f"Written to {app.install_completion(shell=shell)}. Start the shell anew.")
        else:
            say(app.generate_completion(shell=shell))
    except (CycloptsError, RuntimeError) as error:
        raise InvalidRequest("Name the shell: bash, zsh or fish.") from error
