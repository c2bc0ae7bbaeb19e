"""Errors in the dialect of the path they happen on."""

from collections.abc import Mapping

import msgspec

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import ClientCodec, ErrorFacts
from omniroute.errors import OmniRouteError
from omniroute.http.errors import enveloped, error_facts, management_body
from omniroute.http.paths import OLLAMA_PATHS
from omniroute.http.route_classes import MANAGED, is_under

_SPOKEN: Mapping[Dialect, tuple[str, ...]] = {
    Dialect.ANTHROPIC: ("/v1/messages",),
    Dialect.GEMINI: ("/v1beta",),
    Dialect.OLLAMA: OLLAMA_PATHS,
    Dialect.OPENAI_CHAT: ("/v1",),
}
"""Where each dialect is spoken, most specific paths first; others have the management shape."""

_ENVELOPED = (*MANAGED, "/api/settings/proxy", "/api/settings/proxies")
"""Where errors have an envelope and an id (02 §1.4)."""


def path_codec(path: str) -> ClientCodec | None:
    """What clients of `path` speak."""
    if is_under(path, MANAGED):
        return None
    spoken = (dialect for dialect, paths in _SPOKEN.items() if is_under(path, paths))
    dialect = next(spoken, None)
    return CODECS[dialect] if dialect is not None else None


def error_body(path: str, error: OmniRouteError, request_id: str) -> bytes:
    """The body of an error answer on `path`."""
    codec = path_codec(path)
    if is_under(path, _ENVELOPED):
        return msgspec.json.encode(enveloped(error, request_id))
    if codec is None:
        return msgspec.json.encode(management_body(error, request_id))
    return codec.encode_error(error_facts(error, request_id))


def facts_body(path: str, facts: ErrorFacts) -> bytes:
    """The same for errors that are not of the tree."""
    codec = path_codec(path)
    if codec is None:
        return msgspec.json.encode({"error": facts.message})
    return codec.encode_error(facts)
