"""Tokens of accounts that exist: renewed when somebody asks, or brought along by hand."""

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import (
    InvalidRequest,
    NothingToRenew,
    SignInNeeded,
    UpstreamFailed,
)
from omniroute.operations.access.audit import note
from omniroute.operations.accounts.connections import audit_name, known_account
from omniroute.operations.accounts.oauth.accounts import SignedIn, signed_in
from omniroute.operations.accounts.oauth.providers import (
    endpoint_of,
    provider_failed,
    sign_in_provider,
)
from omniroute.pipeline.accounts.logins import LoginFailed
from omniroute.storage.records.configuration import Connection
from omniroute.upstream.oauth import OAuthRefused, Tokens
from omniroute.upstream.send import TransportFailed


class Refreshed(Struct, frozen=True, kw_only=True, rename="camel"):
    """New tokens are stored. `expires_at` is None where the provider does not say."""

    success: bool
    connection_id: str
    provider: str
    expires_at: str | None
    refreshed_at: str


class TokenInput(Struct, frozen=True, kw_only=True):
    """A long-lived token that its owner made at the provider."""

    token: Annotated[str, Meta(min_length=1, max_length=8_192)]


async def refresh_account(engine: Engine, caller: Caller, connection_id: str) -> Refreshed:
    """Have an account's tokens renewed now, whatever is left of them (02 §4.9).

    Raises:
        NotFound: there is none with this id.
        InvalidRequest: it has an API key.
        NothingToRenew: it has no refresh token.
        SignInNeeded: the provider refuses for good; the account is marked.
        UpstreamFailed: there are no new tokens for now.
    """
    await engine.configuration.catch_up()  # tokens somebody else has just got are not renewed
    account = known_account(engine, connection_id)
    if account.auth_type != "oauth":
        raise InvalidRequest(f"'{account.name}' has an API key; there is nothing to renew.")
    if account.refresh_token is None:
        raise NothingToRenew(
            f"'{account.name}' has no refresh token. Sign in again to get another token."
        )
    target = audit_name(account)
    try:
        renewed = await engine.logins.renewed(account, refused=True, status="invalid")
    except LoginFailed as error:
        await note(engine, caller, "provider.credentials.refreshed", target, status="failure")
        if error.kind == "ended":
            told = {"requiresReauth": True}
            raise SignInNeeded(str(error), status=401, extras=told) from error
        raise UpstreamFailed(str(error)) from error
    await note(engine, caller, "provider.credentials.refreshed", target)
    return Refreshed(
        success=True,
        connection_id=renewed.id,
        provider=renewed.provider,
        expires_at=renewed.expires_at,
        refreshed_at=iso(engine.now_ms()),
    )


async def with_fresh_token(engine: Engine, account: Connection) -> Connection:
    """The account with a token that is good for now.

    Raises:
        UpstreamFailed: there is none; 401 where somebody has to sign in again.
    """
    try:
        return await engine.logins.fresh(account)
    except LoginFailed as error:
        raise UpstreamFailed(str(error), status=401 if error.kind == "ended" else 502) from error


async def import_token(engine: Engine, caller: Caller, named: str, given: TokenInput) -> SignedIn:
    """Store an account for a personal token, once the provider says whose it is.

    Raises:
        NotFound: there is no such provider.
        InvalidRequest: it documents no such tokens, or does not take this one.
        UpstreamFailed: it does not answer.
    """
    provider = sign_in_provider(engine, named)
    client = engine.logins.clients.person_client(provider)
    token = given.token.strip()
    if client is None:
        raise InvalidRequest(
            f"{provider.name} documents no personal tokens. Add an API key with POST "
            "/api/providers, or sign in with the action authorize."
        )
    if not token or not token.isascii() or not token.isprintable():
        raise InvalidRequest("The token must be printable ASCII.", param="token")
    try:
        async with asyncio.timeout(engine.logins.timeout_s):
            person = await endpoint_of(engine, client, client.userinfo_url).person(token)
    except OAuthRefused as refused:
        if refused.status in (401, 403):
            raise InvalidRequest(
                f"{client.name} does not take this token. Check that it has not expired and has "
                "the scopes api and read_user.",
                param="token",
            ) from refused
        raise provider_failed(client, refused) from refused
    except (TransportFailed, TimeoutError) as error:
        raise provider_failed(client, error) from error
    return await signed_in(engine, caller, client, Tokens(access_token=token), None, person)
