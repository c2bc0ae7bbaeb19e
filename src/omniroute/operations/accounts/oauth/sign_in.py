"""Signing in with a browser: sent away with a `state`, back with a code. Source: 02 §5."""

import asyncio
import hmac
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest
from omniroute.operations.accounts.oauth.accounts import SignedIn, require_login, signed_in
from omniroute.operations.accounts.oauth.providers import (
    configured_client,
    endpoint_of,
    provider_failed,
    sign_in_provider,
)
from omniroute.pipeline.accounts.callbacks import checked_redirect
from omniroute.storage.oauth import SignIn
from omniroute.upstream.oauth import OAuthClient, OAuthRefused
from omniroute.upstream.pkce import challenge_of, is_verifier, new_state, new_verifier
from omniroute.upstream.send import TransportFailed

STATE_MS = 10 * 60_000
"""How long somebody may take to sign in."""

Secret: TypeAlias = Annotated[str, Meta(min_length=1, max_length=8_192)]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class Authorization(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where to send a browser. `fixed_port` is the port it has to come back to, if there is one."""

    auth_url: str
    state: str
    code_verifier: str
    code_challenge: str
    redirect_uri: str
    flow_type: str
    callback_path: str
    fixed_port: int | None


class Listening(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where to send a browser that comes back to a port of this machine."""

    auth_url: str
    code_verifier: str
    redirect_uri: str
    server_port: int


class ExchangeInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """A code and what it was asked for with. The verifier is kept here; one that is given as well
    must be the same."""

    code: Secret
    redirect_uri: Annotated[str, Meta(min_length=1, max_length=2_000)]
    code_verifier: Annotated[str, Meta(max_length=200)] | None = None
    state: Annotated[str, Meta(max_length=500)] | None = None
    connection_id: Id | None = None


class CallbackPoll(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a browser has come back. `connection_id` is the account to sign in to again."""

    connection_id: Id | None = None


class NotYet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A sign-in that is not over, or came to nothing. `interval` is how many seconds to wait."""

    error: str | None = None
    error_description: str | None = None
    pending: bool = True
    success: Literal[False] = False
    interval: int | None = None


async def authorize(
    engine: Engine, caller: Caller, named: str, redirect_uri: str | None
) -> Authorization:
    """Begin a sign-in.

    Args:
        redirect_uri: where the browser comes back; None for the gateway's own page.

    Raises:
        NotFound: there is no such provider.
        NotConfigured: the operator has no client there.
        InvalidRequest: the flow has no such step, or browsers may not be sent there.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    port = client.callback_port
    usual = engine.callbacks.redirect_uri if port is None else _local(port)
    redirect = checked_redirect(redirect_uri or usual, engine.callbacks.public_url)
    return await _begun(engine, client, redirect)


async def listen(engine: Engine, caller: Caller, named: str) -> Listening:
    """Begin a sign-in whose browser comes back to a port of this machine; for five minutes.

    Raises:
        NotFound: there is no such provider.
        NotConfigured: the operator has no client there.
        InvalidRequest: the client has no fixed port.
        Conflict: the port is taken.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    if client.callback_port is None:
        raise InvalidRequest(
            f"Browsers come back from {client.name} to the gateway's own page; use the action "
            "authorize. A fixed port is set with the variable that ends in OAUTH_CALLBACK_PORT."
        )
    redirect = _local(client.callback_port)
    begun = await _begun(engine, client, redirect)
    await engine.callbacks.listen(client.provider, client.callback_port, begun.state, redirect)
    return Listening(
        auth_url=begun.auth_url,
        code_verifier=begun.code_verifier,
        redirect_uri=redirect,
        server_port=client.callback_port,
    )


async def poll_callback(
    engine: Engine, caller: Caller, named: str, poll: CallbackPoll
) -> SignedIn | NotYet:
    """Finish the sign-in that was begun with `listen`, once its browser has come back.

    Raises:
        NotFound: there is no such provider, or account.
        UpstreamFailed: the provider does not take the code.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    require_login(engine, client, poll.connection_id)
    waiting = engine.callbacks.of(client.provider)
    if waiting is None:
        told = "Nobody waits for a browser: call start-callback-server first."
        return NotYet(error="no_server", error_description=told, pending=False)
    if waiting.arrived is None:
        return NotYet()
    engine.callbacks.stop(client.provider)
    arrived = waiting.arrived
    if arrived.code is None:
        return NotYet(
            error=(arrived.error or "no_code")[:100],
            error_description=arrived.description[:500] or None,
            pending=False,
        )
    given = ExchangeInput(
        code=arrived.code,
        redirect_uri=waiting.redirect_uri,
        state=waiting.state,
        connection_id=poll.connection_id,
    )
    return await exchange(engine, caller, named, given)


async def exchange(engine: Engine, caller: Caller, named: str, given: ExchangeInput) -> SignedIn:
    """Exchange a code for tokens, and store the account they are of.

    Raises:
        NotFound: there is no such provider, or account.
        NotConfigured: the operator has no client there.
        InvalidRequest: the state is not one that waits for this provider and address.
        UpstreamFailed: the provider does not take the code.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    _require_browser(client)
    checked_redirect(given.redirect_uri, engine.callbacks.public_url)
    require_login(engine, client, given.connection_id)
    begun = await _consumed(engine, given)
    _require_same(client, given, begun)
    grant = {
        "grant_type": "authorization_code",
        "code": given.code,
        "redirect_uri": begun.redirect_uri,
    }
    if client.uses_pkce:
        grant["code_verifier"] = begun.verifier
    try:
        async with asyncio.timeout(engine.logins.timeout_s):
            tokens = await endpoint_of(engine, client).tokens(grant)
    except (OAuthRefused, TransportFailed, TimeoutError) as error:
        raise provider_failed(client, error) from error
    return await signed_in(engine, caller, client, tokens, given.connection_id)


async def _begun(engine: Engine, client: OAuthClient, redirect_uri: str) -> Authorization:
    _require_browser(client)
    state, verifier, now_ms = new_state(), new_verifier(), engine.now_ms()
    begun = SignIn(provider=client.provider, verifier=verifier, redirect_uri=redirect_uri)
    async with engine.database.work() as work:
        await work.oauth_states.drop_older(now_ms - STATE_MS)
        await work.oauth_states.add(state, begun, now_ms)
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if client.scopes:
        query["scope"] = " ".join(client.scopes)
    challenge = challenge_of(verifier)
    if client.uses_pkce:
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    url = client.authorize_url or ""
    separator = "&" if urlsplit(url).query else "?"
    return Authorization(
        auth_url=f"{url}{separator}{urlencode(query)}",
        state=state,
        code_verifier=verifier,
        code_challenge=challenge,
        redirect_uri=redirect_uri,
        flow_type=client.flow,
        callback_path="/callback",
        fixed_port=client.callback_port,
    )


async def _consumed(engine: Engine, given: ExchangeInput) -> SignIn:
    if not given.state:
        raise InvalidRequest("The state is missing: it came back beside the code.", param="state")
    now_ms = engine.now_ms()
    async with engine.database.work() as work:
        begun = await work.oauth_states.consume(given.state, now_ms - STATE_MS, now_ms)
    if begun is None:
        raise InvalidRequest(
            "The state is not known, was used already or is older than ten minutes. Begin again "
            "with the action authorize.",
            param="state",
        )
    return begun


def _require_same(client: OAuthClient, given: ExchangeInput, begun: SignIn) -> None:
    """The code must be used for what it was asked for; a state that was tried once is gone."""
    if not _equal(begun.provider, client.provider):
        raise InvalidRequest("The state belongs to another provider.", param="state")
    if not _equal(begun.redirect_uri, given.redirect_uri):
        raise InvalidRequest(
            "The redirect address is not the one the sign-in began with.", param="redirectUri"
        )
    verifier = given.code_verifier
    if verifier and not (is_verifier(verifier) and _equal(begun.verifier, verifier)):
        raise InvalidRequest(
            "The code verifier is not the one the sign-in began with.", param="codeVerifier"
        )


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))


def _require_browser(client: OAuthClient) -> None:
    if client.flow == "device_code":
        raise InvalidRequest(
            f"People sign in to {client.name} with a device code; use the action device-code."
        )


def _local(port: int) -> str:
    return f"http://localhost:{port}/callback"
