"""Which gateway a command talks to, and how it answers: the options all commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

_GATEWAY = Group("Gateway", sort_key=90)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Where:
    """The gateway, the credential and the form of the answer."""

    url: Annotated[
        str | None,
        Parameter(group=_GATEWAY, help="Where the gateway is. Default: the one that runs here."),
    ] = None
    key: Annotated[
        str | None,
        Parameter(
            group=_GATEWAY,
            allow_leading_hyphen=True,
            help="API key to ask with (OMNIROUTE_API_KEY); - reads a line.",
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        Parameter(group=_GATEWAY, help="Data directory of the gateway here (DATA_DIR)."),
    ] = None
    json: Annotated[
        bool, Parameter(group=_GATEWAY, negative=(), help="Print JSON, as the API has it.")
    ] = False


HERE = Where()
"""The gateway that runs on this machine."""
