"""How long lists are read in pages: all of them without `limit`."""

from typing import Annotated

from litestar.params import QueryParameter

Limit = Annotated[int | None, QueryParameter(ge=1, le=1000)]
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000_000)]
