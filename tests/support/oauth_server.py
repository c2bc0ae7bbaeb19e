"""A sign-in server on loopback that is also the upstream its tokens are for."""

import hashlib
import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.small_upstream import answer as upstream_answer

CLIENT_ID = "own-client"
CLIENT_SECRET = "secret-of-the-own-client"


@dataclass
class Code:
    """A code that was given, and what it is bound to."""

    redirect_uri: str
    challenge: str | None


@dataclass
class OAuthServer:
    """What it gave and was asked.

    `lifetime_s` is said of access tokens; `refreshing` what a refresh gets: `ok`, `revoked`,
    `broken` (500) or `keep` (no new refresh token). `device` are the errors a device code meets
    with, one after the other. With `held` set, refreshes wait for `go`.
    """

    port: int = 0
    email: str = "ada@example.org"
    lifetime_s: int = 3_600
    refreshing: str = "ok"
    device: list[str] = field(default_factory=list)
    held: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    codes: dict[str, Code] = field(default_factory=dict)
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    devices: dict[str, int] = field(default_factory=dict)
    refreshes: list[str] = field(default_factory=list)
    chats: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def environ(self, name: str, **more: str) -> dict[str, str]:
        """The variables that make it a provider's sign-in server."""
        parts = {
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "AUTHORIZE_URL": f"{self.url}/authorize",
            "TOKEN_URL": f"{self.url}/token",
            "DEVICE_CODE_URL": f"{self.url}/device",
            "USERINFO_URL": f"{self.url}/userinfo",
            "SCOPES": "models email",
            **more,
        }
        return {f"{name}_OAUTH_{part}": value for part, value in parts.items()}

    def tokens(self, *, refresh: bool = True) -> dict[str, Any]:
        """New tokens, as they are given out."""
        with self.lock:
            access, renewal = f"at-{secrets.token_hex(16)}", f"rt-{secrets.token_hex(16)}"
            self.access.add(access)
            self.given.append(access)
            told: dict[str, Any] = {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": self.lifetime_s,
                "scope": "models email",
            }
            if refresh:
                self.refresh.add(renewal)
                self.given.append(renewal)
                told["refresh_token"] = renewal
        return told

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser of somebody who agrees is sent back to."""
        assert (query["client_id"], query["response_type"]) == (CLIENT_ID, "code")
        code = f"code-{secrets.token_hex(16)}"
        self.given.append(code)
        self.codes[code] = Code(query["redirect_uri"], query.get("code_challenge"))
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        grant = form.get("grant_type", "")
        if grant == "authorization_code":
            return self._code(form)
        if grant == "refresh_token":
            return self._refresh(form["refresh_token"])
        code = form.get("device_code", "")
        if code not in self.devices:
            return 400, {"error": "invalid_grant"}
        if self.device:
            return 400, {"error": self.device.pop(0), "error_description": "not now"}
        return 200, self.tokens()

    def _code(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        known = self.codes.pop(form.get("code", ""), None)
        if known is None or known.redirect_uri != form.get("redirect_uri"):
            told = f"the code {form.get('code')} is not valid"
            return 400, {"error": "invalid_grant", "error_description": told}
        if known.challenge is not None:
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if urlsafe_b64encode(digest).rstrip(b"=").decode() != known.challenge:
                return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        return 200, self.tokens()

    def _refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.refreshes.append(token)
        self.arrived.set()
        if self.held:
            self.go.wait(20)
        if self.refreshing == "broken":
            return 500, {}
        if self.refreshing == "revoked" or token not in self.refresh:
            told = f"the token {token} was revoked"
            return 400, {"error": "invalid_grant", "error_description": told}
        if self.refreshing != "keep":
            self.refresh.discard(token)  # whoever uses it again has stolen it
        return 200, self.tokens(refresh=self.refreshing != "keep")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def made(self) -> OAuthServer:
        return cast("_Http", self.server).made

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/authorize":
            self.send_response(302)
            self.send_header("location", self.made.authorize(query))
            self.send_header("content-length", "0")
            self.end_headers()
        elif parts.path in ("/userinfo", "/api/v4/user"):
            name = {"email": self.made.email, "name": "Ada"}
            self._json(200, name) if self._token() in self.made.access else self._unknown()
        elif self._token() in self.made.access:
            self._send(200, *upstream_answer(parts.path, {}))
        else:
            self._unknown()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        path = urlsplit(self.path).path
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if path == "/token":
            self._json(*self.made.token(form))
        elif path == "/device":
            code = f"device-{secrets.token_hex(16)}"
            self.made.devices[code] = 0
            told = {"device_code": code, "user_code": "AB-CD", "expires_in": 600, "interval": 1}
            self._json(200, {**told, "verification_uri": f"{self.made.url}/activate"})
        elif self._token() in self.made.access:
            self.made.chats.append(self._token())
            self._send(200, *upstream_answer(path, json.loads(body)))
        else:
            self._unknown()

    def _token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def _unknown(self) -> None:
        self._json(401, {"error": {"message": "invalid token", "type": "invalid_token"}})

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked is gone
            self.close_connection = True


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    made: OAuthServer


@contextmanager
def oauth_server() -> Iterator[OAuthServer]:
    """The server, listening on a free port."""
    http = _Http(("127.0.0.1", 0), _Handler)
    http.made = made = OAuthServer(port=http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.go.set()
        http.shutdown()
        thread.join()
        http.server_close()
