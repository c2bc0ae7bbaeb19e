"""Google service accounts: a signed statement is exchanged for a token that lasts an hour.

Source: developers.google.com/identity/protocols/oauth2/service-account.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey
from msgspec import Struct

from omniroute.errors import InvalidRequest
from omniroute.upstream.proxies import Via
from omniroute.upstream.send import OutboundRequest, Sender, TransportFailed

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME_S = 3_600
RENEW_BEFORE_S = 300
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccount(Struct, frozen=True):
    """The key file of a service account, as far as it is needed."""

    client_email: str
    private_key: str
    project_id: str = ""
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class _Token(Struct):
    access_token: str
    expires_in: float = LIFETIME_S


@lru_cache(maxsize=64)
def service_account(key_file: str) -> ServiceAccount:
    """Read a key file.

    Raises:
        InvalidRequest: it is not one.
    """
    try:
        return msgspec.json.decode(key_file, type=ServiceAccount)
    except ValueError as error:
        raise InvalidRequest(
            "The account's key must be the JSON key file of a Google service account."
        ) from error


def project_of(key_file: str) -> str:
    """The project a key file belongs to.

    Raises:
        InvalidRequest: it is not a key file.
    """
    return service_account(key_file).project_id


class GoogleTokens:
    """Access tokens by service account, renewed shortly before they end; one renewal at a time.

    Args:
        now_ms: the clock, epoch milliseconds.
    """

    def __init__(self, sender: Sender, now_ms: Callable[[], int]) -> None:
        self._sender = sender
        self._now_ms = now_ms
        self._tokens: dict[str, tuple[str, float]] = {}
        self._renewing: dict[str, asyncio.Lock] = {}

    async def token(self, key_file: str, via: Via | None = None) -> str:
        """A token that is good for some minutes at least.

        Args:
            via: the proxy of the account.

        Raises:
            InvalidRequest: the key file is not valid, or Google refuses it.
            TransportFailed: Google cannot be reached.
        """
        name = hashlib.sha256(key_file.encode()).hexdigest()
        async with self._renewing.setdefault(name, asyncio.Lock()):
            token, until_s = self._tokens.get(name, ("", 0.0))
            now_s = self._now_ms() / 1000
            if until_s - now_s < RENEW_BEFORE_S:
                token, lifetime_s = await self._renew(service_account(key_file), int(now_s), via)
                self._tokens[name] = (token, now_s + lifetime_s)
            return token

    async def _renew(
        self, account: ServiceAccount, now_s: int, via: Via | None
    ) -> tuple[str, float]:
        host = urlsplit(account.token_uri).hostname or ""
        if not host.endswith(".googleapis.com"):
            raise InvalidRequest("The key file names a token address that is not Google's.")
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        }
        header = {"alg": "RS256", "kid": account.private_key_id}
        try:
            key = RSAKey.import_key(account.private_key)
            statement = await asyncio.to_thread(jwt.encode, header, claims, key)
        except ValueError as error:
            raise InvalidRequest("The key file holds no RSA private key.") from error
        request = OutboundRequest(
            url=account.token_uri,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": _GRANT, "assertion": statement}).encode(),
            via=via,
        )
        response = await self._sender.send(request)
        try:
            body = await response.read()
        finally:
            await response.aclose()
        if response.status != 200:
            raise InvalidRequest(
                f"Google refused the service account (status {response.status}). "
                "Check that the key exists and its clock is right."
            )
        try:
            given = msgspec.json.decode(body, type=_Token)
        except ValueError as error:
            raise TransportFailed("broken", "Google's answer held no token") from error
        return given.access_token, given.expires_in
