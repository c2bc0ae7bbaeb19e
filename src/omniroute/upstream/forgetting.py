"""Errors of upstreams without the credentials they were sent: some repeat what they refuse."""

from collections.abc import AsyncIterator, Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from omniroute.upstream.send import OutboundRequest, OutboundResponse

HIDDEN = b"[redacted]"
MOST_ERROR_BYTES = 256 * 1024
_SHORTEST = 8
_PLAIN = frozenset(
    (
        *("accept", "accept-encoding", "anthropic-beta", "anthropic-version", "content-length"),
        *("content-type", "host", "user-agent", "x-request-id", "traceparent"),
    )
)
"""Headers that hold nothing to hide. All others may: an operator can name them anything."""


def secrets_of(request: OutboundRequest) -> tuple[bytes, ...]:
    """Everything in a request that nobody else may see, the longest first."""
    found = {secret for secret in _secrets(request) if len(secret) >= _SHORTEST}
    return tuple(sorted((one.encode() for one in found), key=len, reverse=True))


def _secrets(request: OutboundRequest) -> Iterator[str]:
    for name, value in request.headers.items():
        if name.lower() not in _PLAIN:
            yield value
            yield value.rpartition(" ")[2]  # without "Bearer"
    for _, value in parse_qsl(urlsplit(request.url).query):
        yield value


class Forgetful:
    """A response that failed, with what it must not repeat taken out of its body."""

    def __init__(self, response: OutboundResponse, request: OutboundRequest) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._secrets = secrets_of(request)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, in one piece: a credential may lie across two. Its end may be missing."""
        body = b""
        async for chunk in self._response.chunks():
            body += chunk
            if len(body) >= MOST_ERROR_BYTES:
                break
        yield self._without(body)

    async def read(self) -> bytes:
        """The whole body."""
        return self._without(await self._response.read())

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._response.aclose()

    def _without(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret, HIDDEN)
        return body
