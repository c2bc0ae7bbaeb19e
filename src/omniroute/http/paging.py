"""How long lists are read: in parts from an offset (all of them without `limit`), or by page."""

from typing import Annotated

from litestar.params import QueryParameter

Limit = Annotated[int | None, QueryParameter(ge=1, le=1000)]
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000_000)]

PageNumber = Annotated[int, QueryParameter(ge=1, le=10_000_000)]
PageLimit = Annotated[int, QueryParameter(ge=1, le=200)]
PageOffset = Annotated[int | None, QueryParameter(ge=0, le=1_000_000_000)]


def pages(total: int, limit: int) -> int:
    """How many pages there are."""
    return -(-total // limit)
