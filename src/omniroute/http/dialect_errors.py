"""Errors in the dialect of the path they happen on."""

from collections.abc import Mapping

import msgspec

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import ErrorFacts
from omniroute.errors import OmniRouteError
from omniroute.http.errors import error_facts, management_body

PATH_DIALECTS: Mapping[str, Dialect] = {
    "/v1/messages": Dialect.ANTHROPIC,
    "/v1": Dialect.OPENAI_CHAT,
}
"""Dialect of a path, most specific prefix first; other paths speak the management shape."""


def path_dialect(path: str) -> Dialect | None:
    """The dialect clients of `path` speak."""
    for prefix, dialect in PATH_DIALECTS.items():
        if path == prefix or path.startswith(prefix + "/"):
            return dialect
    return None


def error_body(path: str, error: OmniRouteError, request_id: str) -> bytes:
    """The body of an error answer on `path`."""
    dialect = path_dialect(path)
    if dialect is None:
        return msgspec.json.encode(management_body(error, request_id))
    return facts_body(path, error_facts(error, request_id))


def facts_body(path: str, facts: ErrorFacts) -> bytes:
    """The same for errors that are not of the tree."""
    dialect = path_dialect(path)
    if dialect is None:
        return msgspec.json.encode({"error": facts.message})
    return CODECS[dialect].encode_error(facts)
