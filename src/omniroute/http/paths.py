"""The paths under which clients look for the same thing. Source: 01 §1.1."""

_EXACT = {
    "/models": "/v1/models",
    "/chat/completions": "/v1/chat/completions",
    "/v1": "/v1/models",
}
_PREFIXES = (("/v1/v1", "/v1"), ("/api/v1", "/v1"))


def canonical_path(path: str) -> str:
    """The one path a request is handled under: aliases replaced, a trailing slash dropped."""
    clean = path[:-1] if len(path) > 1 and path.endswith("/") else path
    for prefix, plain in _PREFIXES:
        if clean == prefix or clean.startswith(prefix + "/"):
            clean = plain + clean[len(prefix) :]
    return _EXACT.get(clean, clean)
