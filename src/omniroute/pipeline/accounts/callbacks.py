"""Where browsers come back to after a sign-in: redirect addresses, and listeners that wait once."""

import asyncio
import contextlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from omniroute.errors import Conflict, InvalidRequest
from omniroute.pipeline.accounts.callback_page import (
    HEADERS,
    empty_page,
    error_page,
    finished_page,
)

LISTEN_S = 5 * 60.0
"""How long a listener waits for a browser."""

READ_S = 10.0
MAX_HEAD_BYTES = 32 * 1024
CALLBACK_PATH = "/callback"
_LOCAL = re.compile(r"http://localhost:([1-9][0-9]{0,4})/(?:auth/)?callback")


def checked_redirect(uri: str, public_url: str) -> str:
    """A redirect address browsers may be sent to with a code: the gateway's own page, or a page
    of a program on the user's machine.

    Raises:
        InvalidRequest: it is neither.
    """
    if hmac.compare_digest(uri.encode(), f"{public_url}{CALLBACK_PATH}".encode()):
        return uri
    local = _LOCAL.fullmatch(uri)
    if local is not None and int(local[1]) <= 65_535:
        return uri
    raise InvalidRequest(
        f"The redirect address must be {public_url}{CALLBACK_PATH}, or http://localhost:PORT"
        "/callback or /auth/callback.",
        param="redirect_uri",
    )


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a browser brought back."""

    code: str | None = None
    error: str | None = None
    description: str = ""


@dataclass(slots=True)
class Waiting:
    """A sign-in that a listener waits for."""

    provider: str
    state: str
    redirect_uri: str
    server: asyncio.Server
    timer: asyncio.TimerHandle
    arrived: Arrived | None = None


@dataclass(slots=True)
class Polled:
    """When a device code may be asked about next. `until_ms` is when it ends."""

    provider: str
    interval_s: float
    next_ms: int
    until_ms: int


@dataclass(slots=True)
class Callbacks:
    """Sign-ins of this process that wait for a browser or a person.

    `public_url` is the address of the gateway, `now_ms` epoch milliseconds.
    """

    public_url: str
    now_ms: Callable[[], int]
    listen_s: float = LISTEN_S
    _waiting: dict[str, Waiting] = field(default_factory=dict)
    devices: dict[str, Polled] = field(default_factory=dict)

    @property
    def redirect_uri(self) -> str:
        """The gateway's own page."""
        return f"{self.public_url}{CALLBACK_PATH}"

    async def listen(self, provider: str, port: int, state: str, redirect_uri: str) -> None:
        """Wait on a port of this machine for one sign-in; an older one of the provider ends.

        Raises:
            Conflict: somebody else has the port.
        """
        self.stop(provider)

        try:
            server = await asyncio.start_server(
                self._serve, "127.0.0.1", port, limit=MAX_HEAD_BYTES
            )
        except OSError as error:
            raise Conflict(
                f"Port {port} is taken, so no browser can come back there. Free it, or sign in "
                "with the authorize action."
            ) from error
        timer = asyncio.get_running_loop().call_later(self.listen_s, self.stop, provider)
        self._waiting[provider] = Waiting(provider, state, redirect_uri, server, timer)

    def of(self, provider: str) -> Waiting | None:
        """What a provider's listener waits for, or got."""
        return self._waiting.get(provider)

    def stop(self, provider: str) -> None:
        """Wait no longer."""
        waiting = self._waiting.pop(provider, None)
        if waiting is not None:
            waiting.timer.cancel()
            waiting.server.close()

    def arrive(self, state: str, arrived: Arrived) -> bool:
        """A browser came back with a state; whether somebody was waiting for it."""
        given = state.encode("utf-8", "replace")
        for waiting in self._waiting.values():
            mine = hmac.compare_digest(waiting.state.encode(), given)
            if mine and waiting.arrived is None:
                waiting.arrived = arrived
                waiting.server.close()
                return True
        return False

    def came(self, query: str) -> tuple[bool, Arrived, str]:
        """What a query string holds: whether somebody waited for it, what came, and its state."""
        try:
            fields = parse_qs(query, max_num_fields=50)
        except ValueError:
            fields = {}
        first = {name: values[0] for name, values in fields.items()}
        arrived = Arrived(
            code=first.get("code") or None,
            error=first.get("error") or None,
            description=first.get("error_description", ""),
        )
        state = first.get("state", "")
        return self.arrive(state, arrived), arrived, state

    async def aclose(self) -> None:
        """Close every listener."""
        for provider in [*self._waiting]:
            self.stop(provider)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError
        ):
            async with asyncio.timeout(READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
            status, page = self._answer(head)
            writer.write(_response(status, page))
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    def _answer(self, head: bytes) -> tuple[str, str]:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or words[0] != "GET":
            return "405 Method Not Allowed", empty_page()
        try:
            parts = urlsplit(words[1])
        except ValueError:
            return "400 Bad Request", empty_page()
        if parts.path not in (CALLBACK_PATH, f"/auth{CALLBACK_PATH}"):
            return "404 Not Found", empty_page()
        waited, arrived, _ = self.came(parts.query)
        if not waited:
            told = "This sign-in was not begun here, or is over."
            return "400 Bad Request", error_page("unknown_state", told)
        if arrived.code is None:
            return "200 OK", error_page(arrived.error or "no_code", arrived.description)
        return "200 OK", finished_page()


def _response(status: str, page: str) -> bytes:
    body = page.encode()
    fields = {
        **HEADERS,
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body
