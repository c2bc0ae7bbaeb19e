"""How an account shows who it is: headers for most, signatures and tokens for the clouds."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from omniroute.catalog.provider import Auth, Provider
from omniroute.upstream.aws.signing import AwsKey, signed
from omniroute.upstream.google import GoogleTokens
from omniroute.upstream.send import OutboundRequest, Sender

_HEADERS: Mapping[Auth, tuple[str, str]] = {
    Auth.BEARER: ("authorization", "Bearer {}"),
    Auth.X_API_KEY: ("x-api-key", "{}"),
    Auth.API_KEY: ("api-key", "{}"),
    Auth.SUBSCRIPTION: ("x-subscription-token", "{}"),
    Auth.GOOG: ("x-goog-api-key", "{}"),
}


def key_headers(provider: Provider, key: str | None, auth: Auth | None = None) -> dict[str, str]:
    """The headers that carry a key, and those the provider always wants."""
    headers = dict(provider.headers)
    placed = _HEADERS.get(auth or provider.auth)
    if key and placed is not None:
        name, form = placed
        headers[name] = form.format(key)
    return headers


class Credentials:
    """Puts an account's credentials on a request.

    Args:
        now_ms: the clock, epoch milliseconds.
    """

    def __init__(self, sender: Sender, now_ms: Callable[[], int]) -> None:
        self._google = GoogleTokens(sender, now_ms)
        self._now_ms = now_ms

    async def authorized(
        self,
        provider: Provider,
        key: str | None,
        options: Mapping[str, Any],
        request: OutboundRequest,
        *,
        login: bool = False,
    ) -> OutboundRequest:
        """The request with what shows whose it is.

        `options` are the account's own; `auth` among them, `bearer` say, is for services that
        take a key in more than one way. `login`: the key is the access token of somebody who has
        signed in, which every service takes as a bearer's.

        Raises:
            InvalidRequest: the credentials are not of the kind this provider takes.
            TransportFailed: a token could not be fetched.
        """
        if login:
            extra = key_headers(provider, key, Auth.BEARER)
        elif provider.auth is Auth.GOOGLE_SERVICE_ACCOUNT and key:
            token = await self._google.token(key, request.via)
            extra = key_headers(provider, token, Auth.BEARER)
        elif provider.auth is Auth.AWS_SIGV4 and key and "accessKeyId" in options:
            return signed(request, AwsKey.of(key, options, provider.defaults), self._now_ms())
        elif provider.auth is Auth.AWS_SIGV4:
            extra = key_headers(provider, key, Auth.BEARER)  # a Bedrock API key
        else:
            wanted = Auth.BEARER if options.get("auth") == "bearer" else None
            extra = key_headers(provider, key, wanted)
        headers = {**extra, **request.headers}
        return msgspec.structs.replace(request, headers=headers)
