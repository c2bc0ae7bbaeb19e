"""Options and small readings that several groups of commands share."""

import re
from typing import Annotated

from cyclopts import Parameter

from omniroute.errors import InvalidRequest

Yes = Annotated[bool, Parameter(negative=(), help="Do it without asking.")]

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(text: str) -> int:
    """A duration such as `90`, `90s`, `10m`, `24h` or `7d` in seconds.

    Raises:
        InvalidRequest: it is none.
    """
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip().lower())
    if found is None:
        raise InvalidRequest(f"'{text}' is no duration. Write one like 90s, 10m, 24h or 7d.")
    return int(found[1]) * _UNITS_S[found[2]]
