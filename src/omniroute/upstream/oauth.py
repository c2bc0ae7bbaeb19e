"""Token endpoints: what is asked of them and what their answers mean.

Sources: RFC 6749 §4.1.3, §5 and §6; RFC 8628 §3; OpenID Connect Core §3.1.3.7.
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from omniroute.catalog.oauth import OAuthFlow
from omniroute.dialects.redaction import clean_message
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import (
    OutboundRequest,
    OutboundResponse,
    Sender,
    Timeouts,
    TransportFailed,
)

MAX_ANSWER_BYTES = 256 * 1024
MOST_DESCRIPTION = 300
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_SECRET_FIELDS = ("client_secret", "code", "code_verifier", "device_code", "refresh_token")

DEFINITE = frozenset(
    {
        "invalid_grant",
        "invalid_request",
        "refresh_token_reused",
        "unrecoverable_refresh_error",
    }
)
"""Errors of a refresh that no repetition mends (05 §5.6)."""


class OAuthClient(Struct, frozen=True, kw_only=True):
    """The operator's own client at a provider, and where that is asked.

    `account_options` are those an account made with it gets; `callback_port` is where its
    redirect URI is fixed on this machine, if it is.
    """

    provider: str
    name: str
    flow: OAuthFlow
    client_id: str
    token_url: str
    client_secret: str | None = None
    authorize_url: str | None = None
    device_code_url: str | None = None
    userinfo_url: str | None = None
    scopes: tuple[str, ...] = ()
    callback_port: int | None = None
    account_options: Mapping[str, str] = {}

    @property
    def uses_pkce(self) -> bool:
        """Whether a code is only good together with its verifier."""
        return self.flow == "authorization_code_pkce"

    def __repr__(self) -> str:
        return f"OAuthClient({self.provider}, {self.flow})"


class Tokens(Struct, frozen=True, kw_only=True):
    """What a token endpoint gave. `expires_in` is seconds."""

    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str | None = None
    scope: str | None = None
    expires_in: float | None = None

    def __repr__(self) -> str:
        return "Tokens(...)"


class Person(Struct, frozen=True, kw_only=True):
    """Whose tokens they are, as far as the provider says."""

    email: str | None = None
    name: str | None = None
    username: str | None = None


class OAuthRefused(Exception):
    """The endpoint answered with an error. Internal: operations turn it into one of the tree.

    Args:
        error: its code, as RFC 6749 §5.2 has them, or `http_<status>`.
        description: one cleaned line of the provider's.
        definite: asking again cannot help.
    """

    def __init__(self, error: str, description: str, *, status: int, definite: bool) -> None:
        super().__init__(f"{error}: {description}" if description else error)
        self.error = error
        self.description = description
        self.status = status
        self.definite = definite


class TokenEndpoint(Struct, frozen=True, kw_only=True):
    """A client with its way out. `allow_private` as for chats."""

    sender: Sender
    client: OAuthClient
    via: Via | None = None
    allow_private: bool = False
    timeout_s: float = 15.0

    async def tokens(self, grant: Mapping[str, str]) -> Tokens:
        """Tokens for a grant.

        Raises:
            OAuthRefused: the provider refuses it, or its answer holds no token.
            TransportFailed: it cannot be reached.
        """
        body = await self._post(self.client.token_url, {**self._identity(), **grant})
        try:
            found = msgspec.convert(body, Tokens, strict=False)
        except msgspec.ValidationError as error:
            raise _refused(200, body) from error
        if not found.access_token:
            raise _refused(200, body)
        return found

    async def device_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        """What the provider says to a device that wants to sign in.

        Raises:
            OAuthRefused: it says no.
            TransportFailed: it cannot be reached.
        """
        url = self.client.device_code_url or ""
        body = await self._post(url, {"client_id": self.client.client_id, **form})
        if not isinstance(body.get("device_code"), str) or not body["device_code"]:
            raise _refused(200, body)
        return body

    async def person(self, access_token: str) -> Person:
        """Whom a token belongs to, as the provider's userinfo address says.

        Raises:
            OAuthRefused: the provider does not take the token.
            TransportFailed: it cannot be reached.
        """
        headers = {"authorization": f"Bearer {access_token}", "accept": "application/json"}
        url = self.client.userinfo_url or ""
        return _person(await self._answer("GET", url, headers, None, (access_token,)))

    def _identity(self) -> dict[str, str]:
        secret = self.client.client_secret
        found = {"client_id": self.client.client_id}
        return {**found, "client_secret": secret} if secret else found

    async def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }
        secrets = [form[name] for name in _SECRET_FIELDS if form.get(name)]
        return await self._answer("POST", url, headers, urlencode(form).encode(), secrets)

    async def _answer(
        self,
        method: Literal["GET", "POST"],
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        secrets: Iterable[str],
    ) -> dict[str, Any]:
        request = OutboundRequest(
            method=method,
            url=url,
            headers={**headers, "accept-encoding": "identity"},
            body=body,
            timeouts=Timeouts(
                connect_s=self.timeout_s, headers_s=self.timeout_s, idle_s=self.timeout_s
            ),
            allow_private=self.allow_private,
            via=self.via,
        )
        response = await self.sender.send(request)
        try:
            data = await _limited(response)
        finally:
            await response.aclose()
        try:
            found = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            found = {}
        told = found if isinstance(found, dict) else {}
        if response.status != 200 or "error" in told:
            raise _refused(response.status, told, secrets)
        return told


def person_in(id_token: str | None) -> Person:
    """Whom an id token is about.

    Its signature is not looked at: it came straight from the token endpoint (OpenID Connect Core
    §3.1.3.7), and it is only read for a name.
    """
    parts = (id_token or "").split(".")
    if len(parts) != 3:
        return Person()
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = msgspec.json.decode(urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        return Person()
    return _person(claims if isinstance(claims, dict) else {})


def _person(told: Mapping[str, Any]) -> Person:
    def text(*names: str) -> str | None:
        found = (told.get(name) for name in names)
        return next(
            (one.strip()[:200] for one in found if isinstance(one, str) and one.strip()), None
        )

    return Person(
        email=text("email"),
        name=text("name", "display_name"),
        username=text("preferred_username", "username", "login"),
    )


async def _limited(response: OutboundResponse) -> bytes:
    data = b""
    async for chunk in response.chunks():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise TransportFailed("too_large", "The sign-in server's answer is too large")
    return data


def _refused(status: int, told: Mapping[str, Any], secrets: Iterable[str] = ()) -> OAuthRefused:
    """What an answer that is no success means. Servers like to quote what they were sent: `secrets`
    are taken out."""
    error: Any = told.get("error")
    text: Any = told.get("error_description") or told.get("message")
    if isinstance(error, dict):  # some services answer with their API's own shape
        error, text = error.get("code") or error.get("status"), error.get("message")
    named = isinstance(error, str) and error.isascii() and error.isprintable() and len(error) <= 64
    code = str(error) if named else ("no_token" if status == 200 else f"http_{status}")
    description = text if isinstance(text, str) else ""
    for secret in secrets:
        code, description = (one.replace(secret, "[redacted]") for one in (code, description))
    description = clean_message(description)[:MOST_DESCRIPTION]
    definite = code in DEFINITE and status < 500
    return OAuthRefused(code, description, status=status, definite=definite)
