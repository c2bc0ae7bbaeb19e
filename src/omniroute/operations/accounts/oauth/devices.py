"""Signing in without a browser here: a code that is typed in elsewhere. Source: RFC 8628."""

import asyncio
import hashlib
from typing import Annotated, Any

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
from omniroute.operations.accounts.oauth.sign_in import Id, NotYet, Secret
from omniroute.pipeline.accounts.callbacks import Polled
from omniroute.upstream.oauth import DEVICE_GRANT, OAuthClient, OAuthRefused
from omniroute.upstream.pkce import challenge_of, new_verifier
from omniroute.upstream.send import TransportFailed

USUAL_INTERVAL_S = 5
SLOW_DOWN_S = 5
USUAL_LIFETIME_S = 900
MOST_DEVICES = 1_000

PENDING = frozenset({"authorization_pending", "slow_down"})
OVER = frozenset({"access_denied", "expired_token"})
"""What the person decided, or time did; everything else is the provider's failure."""


class PollInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the person has typed the code in. `extra_data` is what clients of other gateways
    send along; nothing here needs it."""

    device_code: Secret
    code_verifier: Annotated[str, Meta(max_length=200)] | None = None
    extra_data: dict[str, Any] | None = None
    connection_id: Id | None = None


async def device_code(engine: Engine, caller: Caller, named: str) -> dict[str, Any]:
    """Begin a sign-in: what the provider says, with a `codeVerifier` for `poll`.

    Raises:
        NotFound: there is no such provider.
        NotConfigured: the operator has no client there.
        InvalidRequest: its flow is another one.
        UpstreamFailed: the provider says no.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    _require_device(client)
    verifier = new_verifier()
    form = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    try:
        async with asyncio.timeout(engine.logins.timeout_s):
            told = await endpoint_of(engine, client, client.device_code_url).device_code(form)
    except (OAuthRefused, TransportFailed, TimeoutError) as error:
        raise provider_failed(client, error) from error
    _remember(engine, client, told)
    return {**told, "codeVerifier": verifier}


async def poll(engine: Engine, caller: Caller, named: str, given: PollInput) -> SignedIn | NotYet:
    """Ask once whether a device may sign in; the client asks again. Too early, nobody is asked.

    Raises:
        NotFound: there is no such provider, or account.
        NotConfigured: the operator has no client there.
        InvalidRequest: its flow is another one, or the code another provider's.
        UpstreamFailed: the provider does not answer as it should.
    """
    client = configured_client(engine, sign_in_provider(engine, named))
    _require_device(client)
    require_login(engine, client, given.connection_id)
    known = engine.callbacks.devices.get(_named(given.device_code))
    if known is not None and known.provider != client.provider:
        raise InvalidRequest("The device code is another provider's.", param="deviceCode")
    if known is not None and engine.now_ms() < known.next_ms:
        return NotYet(error="authorization_pending", interval=_whole(known.interval_s))
    grant = {"grant_type": DEVICE_GRANT, "device_code": given.device_code}
    if given.code_verifier:
        grant["code_verifier"] = given.code_verifier
    try:
        async with asyncio.timeout(engine.logins.timeout_s):
            tokens = await endpoint_of(engine, client).tokens(grant)
    except OAuthRefused as refused:
        return _not_yet(engine, client, given.device_code, refused)
    except (TransportFailed, TimeoutError) as error:
        raise provider_failed(client, error) from error
    engine.callbacks.devices.pop(_named(given.device_code), None)
    return await signed_in(engine, caller, client, tokens, given.connection_id)


def _not_yet(engine: Engine, client: OAuthClient, code: str, refused: OAuthRefused) -> NotYet:
    told = refused.description or None
    if refused.error in OVER:
        engine.callbacks.devices.pop(_named(code), None)
        return NotYet(error=refused.error, error_description=told, pending=False)
    if refused.error not in PENDING:
        raise provider_failed(client, refused) from refused
    now_ms = engine.now_ms()
    known = engine.callbacks.devices.setdefault(
        _named(code),
        Polled(client.provider, USUAL_INTERVAL_S, 0, now_ms + USUAL_LIFETIME_S * 1000),
    )
    if refused.error == "slow_down":
        known.interval_s += SLOW_DOWN_S
    known.next_ms = now_ms + round(known.interval_s * 1000)
    return NotYet(error=refused.error, error_description=told, interval=_whole(known.interval_s))


def _remember(engine: Engine, client: OAuthClient, told: dict[str, Any]) -> None:
    """How often the provider wants to be asked; the device code itself is not kept."""
    devices, now_ms = engine.callbacks.devices, engine.now_ms()
    for name in [name for name, row in devices.items() if row.until_ms <= now_ms]:
        del devices[name]
    while len(devices) >= MOST_DEVICES:
        del devices[next(iter(devices))]
    interval_s = _seconds(told.get("interval"), USUAL_INTERVAL_S)
    lifetime_s = _seconds(told.get("expires_in"), USUAL_LIFETIME_S)
    devices[_named(told["device_code"])] = Polled(
        provider=client.provider,
        interval_s=interval_s,
        next_ms=now_ms,
        until_ms=now_ms + round(lifetime_s * 1000),
    )


def _seconds(told: object, usual: float) -> float:
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return min(float(told), 86_400.0) if is_number and told > 0 else usual  # type: ignore[arg-type, operator]


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def _named(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()


def _require_device(client: OAuthClient) -> None:
    if client.flow != "device_code":
        raise InvalidRequest(
            f"People sign in to {client.name} with a browser; use the action authorize."
        )
