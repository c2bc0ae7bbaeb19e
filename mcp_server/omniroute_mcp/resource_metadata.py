"""Where clients learn which authorization server issues tokens for us (RFC 9728). 03 §3.4.

The gateway is never an authorization server itself. Without an issuer nothing is served.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from omniroute_mcp.tools import TOOLS

PREFIX = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """The documents of our paths. `issuer` is the URL of the authorization server, None where
    there is none; `base_url` is where clients reach the gateway."""

    issuer: str | None
    base_url: Callable[[], str]

    def url(self, path: str) -> str | None:
        """Where the document of a path is."""
        return None if self.issuer is None else f"{self._base()}{PREFIX}{path}"

    def routes(self, paths: Iterable[str]) -> list[BaseRoute]:
        """The documents, where there is an issuer."""
        if self.issuer is None:
            return []
        return [Route(PREFIX + path, self._document(path), methods=["GET"]) for path in paths]

    def _document(self, path: str) -> Callable[[Request], Response]:
        def answer(_request: Request) -> Response:
            return JSONResponse(
                {
                    "resource": self._base() + path,
                    "authorization_servers": [self.issuer],
                    "scopes_supported": sorted({"mcp"}.union(*(r.scopes for r in TOOLS.values()))),
                    "bearer_methods_supported": ["header"],
                    "resource_name": "OmniRoute",
                }
            )

        return answer

    def _base(self) -> str:
        return self.base_url().rstrip("/")
