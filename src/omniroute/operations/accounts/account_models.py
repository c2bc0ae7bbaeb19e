"""Which models an account serves: as its upstream says, as remembered, or by the catalogue."""

from functools import partial
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.catalog.listing import listed_models
from omniroute.catalog.models import known_models
from omniroute.catalog.provider import Provider
from omniroute.clock import iso
from omniroute.dialects import CODECS
from omniroute.engine import Engine
from omniroute.errors import NotFound, UpstreamFailed
from omniroute.operations.accounts.oauth.tokens import with_fresh_token
from omniroute.pipeline.outbound import shown_by
from omniroute.routing.snapshot import endpoint
from omniroute.storage.records.configuration import ApiFormat, Capability, Connection
from omniroute.upstream.send import OutboundRequest, Timeouts, TransportFailed

MOST_PAGES = 20
NOT_ASKED = "Its upstream was not asked."
NO_MODELS = "It searches the web; it has no models."
TIMEOUTS = Timeouts(connect_s=10.0, headers_s=20.0, idle_s=20.0)


class AccountModel(Struct, frozen=True, kw_only=True):
    """One model, in wire names (02 §4.8)."""

    id: str
    name: str
    owned_by: str
    apiFormat: ApiFormat = "chat-completions"  # noqa: N815 - beside snake_case on the wire
    supportedEndpoints: tuple[Capability, ...] = ("chat",)  # noqa: N815


class AccountModels(Struct, frozen=True, kw_only=True, rename="camel"):
    """The models of an account, and where the list comes from."""

    provider: str
    connection_id: str
    models: tuple[AccountModel, ...]
    source: Literal["api", "cache", "local_catalog"]
    warning: str | UnsetType = UNSET


async def account_models(
    engine: Engine,
    caller: Caller,
    connection_id: str,
    *,
    refresh: bool = False,
    exclude_hidden: bool = False,
) -> AccountModels:
    """The models of an account: as remembered unless `refresh`, else as its upstream says.

    What an upstream says is remembered, so that the models can be asked for by name. Hidden
    models are in the list unless `exclude_hidden`.

    Raises:
        NotFound: there is no account with this id.
        UpstreamFailed: the upstream gives no list, and the catalogue has none either.
    """
    snapshot = engine.snapshot
    account = snapshot.connections.get(connection_id)
    if account is None or account.provider not in snapshot.providers:
        raise NotFound(f"There is no account with the id '{connection_id}'.")
    provider = snapshot.providers[account.provider]
    shown = partial(_shown, engine, account, exclude_hidden)
    if not refresh and isinstance(account.options.get("models"), list):
        return shown(snapshot.models(account), "cache")
    if provider.search is not None:
        return shown((), "local_catalog", NO_MODELS)
    if account.options.get("autoFetchModels") is False or provider.in_process:
        return shown(snapshot.models(account), "local_catalog", NOT_ASKED)
    try:
        account = await with_fresh_token(engine, account)
        models = await discovered(engine, provider, account)
    except UpstreamFailed as failed:
        known = tuple(model.id for model in known_models(provider.id))
        if not known:
            raise
        return shown(known, "local_catalog", str(failed))
    await _remember(engine, caller, account, models)
    return shown(models, "api")


async def discovered(engine: Engine, provider: Provider, account: Connection) -> tuple[str, ...]:
    """The models an upstream lists for an account, all pages of them.

    Raises:
        UpstreamFailed: it does not answer, refuses, or answers something else.
        InvalidRequest: an option of the account is missing.
    """
    base = endpoint(provider, account, provider.models_path)
    found: dict[str, None] = {}
    token: str | None = None
    seen: set[str | None] = set()
    while token not in seen and len(seen) < MOST_PAGES:
        seen.add(token)
        page = f"{'&' if '?' in base else '?'}pageToken={token}" if token else ""
        models, token = await _page(engine, provider, account, base + page)
        found |= dict.fromkeys(models)
        if token is None:
            break
    return tuple(found)


async def _page(
    engine: Engine, provider: Provider, account: Connection, url: str
) -> tuple[tuple[str, ...], str | None]:
    chat = engine.chat
    plain = OutboundRequest(
        method="GET",
        url=url,
        headers={"accept": "application/json"},
        timeouts=TIMEOUTS,
        allow_private=chat.allow_private or provider.probe_port is not None,
        via=engine.snapshot.proxying.route(account).to(url),
    )
    try:
        request = await shown_by(account, provider, chat.credentials, plain)
        response = await chat.gate.send(request)
        try:
            body = await response.read()
        finally:
            await response.aclose()
    except TransportFailed as error:
        message = f"{provider.name} could not be asked for its models: {error}"
        raise UpstreamFailed(message) from error
    if response.status != 200:
        told = CODECS[provider.dialect].decode_error(response.status, body).message
        raise UpstreamFailed(
            f"{provider.name} gives no list of models (status {response.status}): {told}",
            status=response.status if 400 <= response.status < 600 else 502,
        )
    try:
        return listed_models(body)
    except ValueError as error:
        raise UpstreamFailed(f"{provider.name} answered something else than a list.") from error


async def _remember(
    engine: Engine, caller: Caller, account: Connection, models: tuple[str, ...]
) -> None:
    async with engine.database.reading() as work:
        stored = await work.connections.get(account.id)
    if stored is None:  # found at start, and not kept
        return
    options = {**stored.options, "models": list(models)}
    changed = msgspec.structs.replace(stored, options=options, updated_at=iso(engine.now_ms()))
    target = f"{account.provider}:{account.name}"
    async with engine.configuration.change(caller, "provider.models.discovered", target) as work:
        await work.connections.save(changed)


def _shown(
    engine: Engine,
    account: Connection,
    exclude_hidden: bool,
    models: tuple[str, ...],
    source: Literal["api", "cache", "local_catalog"],
    warning: str | UnsetType = UNSET,
) -> AccountModels:
    snapshot, provider = engine.snapshot, account.provider
    added = snapshot.custom_models.get(provider, {})
    rows = []
    for one in dict.fromkeys((*models, *added)):
        if exclude_hidden and snapshot.is_hidden(provider, one):
            continue
        custom = added.get(one)
        if custom is None:
            rows.append(AccountModel(id=one, name=one, owned_by=provider))
        else:
            rows.append(
                AccountModel(
                    id=one,
                    name=custom.name or one,
                    owned_by=provider,
                    apiFormat=custom.api_format,
                    supportedEndpoints=custom.supported_endpoints,
                )
            )
    return AccountModels(
        provider=provider,
        connection_id=account.id,
        models=tuple(rows),
        source=source,
        warning=warning,
    )
