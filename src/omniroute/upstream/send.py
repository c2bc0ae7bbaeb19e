"""The protocol of the send path: one request out, one response in, one kind of failure."""

from collections.abc import AsyncIterator, Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from omniroute.upstream.proxies import Via

FailureKind: TypeAlias = Literal[
    "refused",
    "connect",
    "timeout",
    "broken",
    "too_large",
    "invalid",
    "proxy_connect",
    "proxy_auth",
    "proxy_refused",
    "proxy_off",
]


class TransportFailed(Exception):
    """No response, or half of one. Internal: dispatch turns it into a verdict.

    Args:
        kind: `refused` by our own address rules, `connect` for name and TCP and TLS failures,
            `timeout`, `broken` when the peer hung up, `too_large`, `invalid` for a bad URL. Of a
            proxy: `proxy_connect` when there is no talking to it, `proxy_auth` when it wants other
            credentials, `proxy_refused` when it will not connect, `proxy_off` when it may not be
            used.
        message: one line without addresses or secrets.
        retry_after_ms: when it can be worth another try.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.retry_after_ms = retry_after_ms


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds; None waits for ever.

    `headers_s` runs from the start of the call to the response headers, `idle_s` is the longest
    silence between two chunks of the body.
    """

    connect_s: float | None = 30.0
    headers_s: float | None = 600.0
    idle_s: float | None = 600.0


class OutboundRequest(Struct, frozen=True, kw_only=True):
    """One call to an upstream. `allow_private` is the caller's right to reach its own network,
    `via` the proxy it goes through."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    timeouts: Timeouts = Timeouts()
    allow_private: bool = False
    via: Via | None = None


class OutboundResponse(Protocol):
    """A response whose body has not been read. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            TransportFailed: the peer hung up, or stayed silent too long.
        """

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            TransportFailed: as for `chunks`, or the body is over the limit.
        """

    async def aclose(self) -> None:
        """Hang up; safe to call at any time, more than once."""


class Sender(Protocol):
    """Whatever carries requests to upstreams."""

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Send and wait for the response headers.

        Raises:
            TransportFailed: nothing usable came back.
        """

    async def aclose(self) -> None:
        """Close all pooled connections."""
