"""The configuration, pushed to a server of the operator's own. Source: 02 §16.1."""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from omniroute.caller import Caller
from omniroute.clock import from_iso, iso
from omniroute.engine import Engine
from omniroute.errors import NotConfigured, UpstreamFailed
from omniroute.operations.access.key_texts import text_of
from omniroute.operations.accounts.connections import start_afresh
from omniroute.operations.configuration.sync.bundle import Versioned, versioned
from omniroute.storage.records.configuration import ApiKey, Connection
from omniroute.upstream.cloud_server import CloudFailed, address_problem

KEY_NAME = "Default Key"
VERIFY_TRIES = 2
VERIFY_PAUSE_S = 1.5

_NAMESPACE, _PUSHED = "cloudSync", "pushed"
"""Where it is kept what was pushed last: it is no configuration, so nothing is told of it."""


class PushAction(Struct, frozen=True):
    """What is to be done."""

    action: Literal["enable", "sync", "disable"]


class PushState(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the configuration is pushed, and how that goes. The rest is there where it is."""

    enabled: bool
    connected: bool | UnsetType = UNSET
    last_sync: str | UnsetType | None = UNSET


class PushDone(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was done. `changes` is what the server says about it, `version` that of the bundle;
    `verified` is whether it then knew this gateway."""

    message: str
    success: bool = True
    changes: Any | UnsetType = UNSET
    version: str | UnsetType = UNSET
    cloud_url: str | UnsetType = UNSET
    verified: bool | UnsetType = UNSET
    verify_error: str | UnsetType = UNSET


class Pushed(Struct, frozen=True, kw_only=True):
    """What the server has: the version of a bundle, since when, and where."""

    version: str
    at: str
    url: str


async def cloud_state(engine: Engine, caller: Caller) -> PushState:
    """Whether the configuration is pushed, whether the server knows this gateway, and since when
    it has what it has."""
    if not engine.snapshot.settings["cloudEnabled"]:
        return PushState(enabled=False)
    pushed = await last_push(engine)
    try:
        url, key = required_url(engine), await cloud_key(engine)
    except NotConfigured:
        url, key = "", None
    connected = key is not None and await _verify_problem(engine, url, key) is None
    return PushState(
        enabled=True, connected=connected, last_sync=None if pushed is None else pushed.at
    )


async def act(engine: Engine, caller: Caller, wanted: PushAction) -> PushDone:
    """Begin to push the configuration, push it now, or end it.

    Raises:
        NotConfigured: it is not said where to, the address will not do, or there is no key.
        UpstreamFailed: the server cannot be reached or says no.
    """
    acts = {"enable": _enable, "sync": _sync, "disable": _disable}
    return await acts[wanted.action](engine, caller)


async def push(engine: Engine, url: str, key: str, bundle: Versioned) -> Mapping[str, Any]:
    """Push a bundle and take over what the server knows better; what it answered.

    Raises:
        CloudFailed: it did not take it.
    """
    sent = engine.snapshot.connections
    body = await asyncio.to_thread(msgspec.json.encode, bundle)
    told = await engine.cloud.push(url, key, body)
    await _take_newer(engine, sent, told)
    pushed = Pushed(version=bundle.version, at=iso(engine.now_ms()), url=url)
    async with engine.database.work() as work:
        await work.settings.set(_PUSHED, msgspec.to_builtins(pushed), namespace=_NAMESPACE)
    return told


async def last_push(engine: Engine) -> Pushed | None:
    """What the server has, as far as is known."""
    async with engine.database.reading() as work:
        stored = (await work.settings.namespace(_NAMESPACE)).get(_PUSHED)
    return msgspec.convert(stored, Pushed) if stored else None


def cloud_url(engine: Engine) -> str:
    """Where the configuration is pushed to: the setting, else the variable; empty for nowhere."""
    stored: str = engine.snapshot.settings["cloudUrl"]
    return (stored.strip() or engine.cloud.default_url).rstrip("/")


def required_url(engine: Engine) -> str:
    """The same, where it will do.

    Raises:
        NotConfigured: it will not.
    """
    url = cloud_url(engine)
    if not url:
        raise NotConfigured(
            "There is no cloud to push to. Set 'cloudUrl' with PATCH /api/settings, or CLOUD_URL."
        )
    problem = address_problem(url)
    if problem is not None:
        raise NotConfigured(f"The address of the cloud {problem}.")
    return url


async def cloud_key(engine: Engine) -> str | None:
    """The text of the key the server is shown: the environment's, else that of `Default Key`."""
    if engine.admission.env_key is not None:
        return engine.admission.env_key
    named = {key.id: key for key in engine.snapshot.keys.values() if key.name == KEY_NAME}
    async with engine.database.reading() as work:
        for key in sorted(named.values(), key=lambda one: (one.created_at, one.id)):
            if key.is_active and key.revoked_at is None:
                text = await work.keys.reveal(key.id)
                if text is not None:
                    return text
    return None


async def _enable(engine: Engine, caller: Caller) -> PushDone:
    url = required_url(engine)
    key = await cloud_key(engine) or await _new_key(engine, caller)
    bundle = versioned(engine, credentials=True)
    told = await _pushed(engine, url, key, bundle)
    async with engine.configuration.change(caller, "sync.cloud.enabled", url) as work:
        await work.settings.set("cloudEnabled", True)
    problem = await _verify_problem(engine, url, key)
    for _ in range(VERIFY_TRIES - 1):
        if problem is not None:
            await asyncio.sleep(VERIFY_PAUSE_S)
            problem = await _verify_problem(engine, url, key)
    return PushDone(
        message="The configuration is pushed to the cloud from now on."
        if problem is None
        else "The cloud took the configuration, but does not know this gateway yet.",
        changes=told.get("changes"),
        version=bundle.version,
        cloud_url=url,
        verified=problem is None,
        verify_error=problem or UNSET,
    )


async def _sync(engine: Engine, caller: Caller) -> PushDone:
    url, key = required_url(engine), await cloud_key(engine)
    if key is None:
        raise NotConfigured(
            'There is no key to show the cloud. POST {"action": "enable"} makes one.'
        )
    bundle = versioned(engine, credentials=True)
    told = await _pushed(engine, url, key, bundle)
    return PushDone(
        message="The configuration was pushed to the cloud.",
        changes=told.get("changes"),
        version=bundle.version,
        cloud_url=url,
    )


async def _disable(engine: Engine, caller: Caller) -> PushDone:
    """Nothing is pushed any more, whatever the server says to that."""
    async with engine.configuration.change(caller, "sync.cloud.disabled") as work:
        await work.settings.delete("cloudEnabled")
        await work.settings.set(_PUSHED, {}, namespace=_NAMESPACE)
    url = required_url(engine)
    try:
        await engine.cloud.forget(url, await cloud_key(engine))
    except CloudFailed as error:
        raise UpstreamFailed(
            f"Nothing is pushed any more, but the cloud keeps what it has. {error}"
        ) from error
    return PushDone(message="Nothing is pushed any more, and the cloud has deleted what it had.")


async def _pushed(engine: Engine, url: str, key: str, bundle: Versioned) -> Mapping[str, Any]:
    try:
        return await push(engine, url, key, bundle)
    except CloudFailed as error:
        raise UpstreamFailed(str(error)) from error


async def _verify_problem(engine: Engine, url: str, key: str) -> str | None:
    try:
        await engine.cloud.verify(url, key)
    except CloudFailed as error:
        return str(error)
    return None


async def _new_key(engine: Engine, caller: Caller) -> str:
    """The text of a new `Default Key`. It is kept, encrypted: each push shows it."""
    text = engine.new_api_key()
    record = ApiKey(
        id=engine.new_id(),
        name=KEY_NAME,
        machine_id=engine.installation.machine_id,
        created_at=iso(engine.now_ms()),
        **text_of(engine, text),
    )
    async with engine.configuration.change(caller, "apiKey.created", KEY_NAME) as work:
        await work.keys.save(record)
        await work.keys.seal(record.id, text)
    return text


class _Newer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the server knows of a sign-in. `expires_in` is seconds."""

    updated_at: str
    access_token: str
    refresh_token: str | None = None
    expires_at: str | None = None
    expires_in: int | None = None


async def _take_newer(
    engine: Engine, sent: Mapping[str, Connection], told: Mapping[str, Any]
) -> None:
    """Tokens that were renewed over there replace the ones that were sent; ones that were renewed
    here meanwhile stay."""
    found = {
        id_: newer
        for id_, newer in _newer_of(told).items()
        if id_ in sent and _is_newer(newer, sent[id_])
    }
    if not found:
        return
    async with engine.configuration.noted() as work:
        for id_, newer in found.items():
            row = await work.connections.get(id_)
            if row is None or _tokens(row) != _tokens(sent[id_]):
                continue
            await work.connections.save(
                replace(
                    row,
                    access_token=newer.access_token,
                    refresh_token=newer.refresh_token or row.refresh_token,
                    expires_at=newer.expires_at,
                    token_expires_at=newer.expires_at,
                    expires_in=newer.expires_in,
                    test_status="active",
                    updated_at=newer.updated_at,
                )
            )
    start_afresh(engine, list(found))


def _newer_of(told: Mapping[str, Any]) -> dict[str, _Newer]:
    """What an answer says of sign-ins, by id: `data.providers` is an object, or a list of rows."""
    data = told.get("data")
    rows = data.get("providers") if isinstance(data, dict) else None
    if isinstance(rows, list):
        rows = {str(row.get("id")): row for row in rows if isinstance(row, dict)}
    found = {}
    for id_, row in (rows if isinstance(rows, dict) else {}).items():
        try:
            newer = msgspec.convert(row, _Newer)
            for time in (newer.updated_at, newer.expires_at):
                if time is not None:
                    from_iso(time)
        except (ValueError, OverflowError):  # nothing about tokens, or nothing to rely on
            continue
        found[str(id_)] = newer
    return found


def _is_newer(newer: _Newer, row: Connection) -> bool:
    if row.auth_type != "oauth" or not newer.access_token:
        return False
    if (newer.access_token, newer.refresh_token or row.refresh_token) == _tokens(row):
        return False
    try:
        return from_iso(newer.updated_at) > from_iso(row.updated_at)
    except (ValueError, OverflowError):
        return True  # the time of the own row is not known


def _tokens(row: Connection) -> tuple[str | None, str | None]:
    return row.access_token, row.refresh_token
