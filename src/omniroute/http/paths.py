"""The paths under which clients look for the same thing. Source: 01 §1.1."""

from collections.abc import Mapping

OLLAMA_PATHS = tuple(
    f"/api/{name}" for name in ("chat", "generate", "tags", "show", "version", "ps")
)
"""Where Ollama clients look, beside the management API."""

_EXACT = {
    "/models": "/v1/models",
    "/chat/completions": "/v1/chat/completions",
    "/v1": "/v1/models",
    "/v1beta": "/v1beta/models",
    "/v1/responses/compact": "/v1/responses",
}
_PREFIXES = (
    ("/v1/v1", "/v1"),
    ("/api/v1beta", "/v1beta"),
    ("/api/v1", "/v1"),
    ("/v1/api", "/api"),  # Ollama clients append to a base that ends in /v1
    ("/v1/v1beta", "/v1beta"),
    ("/responses", "/v1/responses"),
    ("/codex/responses", "/v1/responses"),
    ("/codex", "/v1/responses"),
)


_GEMINI_HEADERS = ("x-goog-api-key", "x-goog-api-client")


def canonical_path(path: str, headers: Mapping[str, str]) -> str:
    """The one path a request is handled under: aliases replaced, a trailing slash dropped.

    Gemini's newer clients ask below `/v1` for what the older ones find below `/v1beta`; they are
    known by their headers.
    """
    clean = path[:-1] if len(path) > 1 and path.endswith("/") else path
    for prefix, plain in _PREFIXES:
        if clean == prefix or clean.startswith(prefix + "/"):
            clean = plain + clean[len(prefix) :]
    clean = _EXACT.get(clean, clean)
    of_gemini = clean == "/v1/models" or clean.startswith("/v1/models/")
    if of_gemini and any(name in headers for name in _GEMINI_HEADERS):
        return "/v1beta" + clean.removeprefix("/v1")
    return clean
