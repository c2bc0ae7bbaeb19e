"""The configuration for other gateways as routes: tokens, the bundle, what keys may ask. 02 §16.

`/api/cloud` and the bundle are public by their class; their handlers ask for a key or a token.
"""

from typing import Annotated, Any, TypeAlias

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody
from msgspec import Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import Unauthenticated
from omniroute.http.access import Access
from omniroute.http.dependencies import Operator, TheAccess, TheEngine
from omniroute.http.peers import headers_of
from omniroute.http.problems import PROBLEMS, Problem, delete, get, post, put
from omniroute.operations.configuration.sync import cloud, push, tokens
from omniroute.operations.configuration.sync.bundle import Versioned, versioned
from omniroute.operations.inputs import decode_input
from omniroute.operations.models.aliases import AliasInput
from omniroute.pipeline.callers.admission import bearer
from omniroute.storage.sync_tokens import SyncToken

AnyRequest: TypeAlias = Request[Any, Any, Any]
_RUNNING = (
    "The push of the configuration is already running, since the gateway started; it does nothing "
    "until it is enabled. Models are fetched when they are asked for, not by a schedule."
)
Known = Annotated[str | None, HeaderParameter(name="if-none-match", max_length=500)]


class Tokens(Struct, frozen=True):
    """All tokens."""

    tokens: list[SyncToken]
    total: int


class Revoked(Struct, frozen=True, rename="camel"):
    """A token that counts no more."""

    message: str
    sync_token: SyncToken


class Done(Struct, frozen=True, kw_only=True):
    """What was done."""

    message: str
    success: bool = True


class AliasDone(Struct, frozen=True, kw_only=True):
    """What an alias stands for now."""

    model: str
    alias: str
    message: str
    success: bool = True


class Schedulers(Struct, frozen=True, kw_only=True, rename="camel"):
    """What pushes and fetches by itself."""

    initialized: bool
    model_sync_initialized: bool
    message: str


class Started(Struct, frozen=True, kw_only=True, rename="camel"):
    """What pushes and fetches by itself has started."""

    message: str
    success: bool = True
    model_sync_enabled: bool


class Aliases(Struct, frozen=True):
    """What names stand for."""

    aliases: dict[str, str]


@get("/api/sync/tokens", tags=["Sync"], operation_id="list_sync_tokens")
async def list_sync_tokens(engine: TheEngine, operator: Operator) -> Tokens:
    """The tokens with which other gateways fetch the configuration."""
    found = await tokens.list_tokens(engine, operator)
    return Tokens(found, len(found))


@post("/api/sync/tokens", tags=["Sync"], operation_id="create_sync_token")
async def create_sync_token(
    engine: TheEngine, operator: Operator, data: JSONBody[tokens.TokenInput]
) -> tokens.NewToken:
    """Make a token; its text is shown once."""
    return await tokens.create_token(engine, operator, data)


@delete(
    "/api/sync/tokens/{token_id:str}",
    status_code=200,
    tags=["Sync"],
    operation_id="revoke_sync_token",
)
async def revoke_sync_token(
    engine: TheEngine, operator: Operator, token_id: FromPath[str]
) -> Revoked:
    """Have a token count no more."""
    return Revoked("Sync token revoked", await tokens.revoke_token(engine, operator, token_id))


@get("/api/sync/bundle", tags=["Sync"], operation_id="sync_bundle")
async def sync_bundle(
    request: AnyRequest, engine: TheEngine, access: TheAccess, if_none_match: Known = None
) -> Response[Versioned | None]:
    """The configuration, for whoever shows a sync token; 304 where it is the one of
    `If-None-Match`. Keys and tokens of accounts are in it over TLS and on this machine only."""
    await tokens.require_token(engine, bearer(headers_of(request.scope)))
    private = request.scope.get("scheme") == "https" or access.is_local(request.scope)
    found = versioned(engine, credentials=private)
    headers = {
        "etag": f'"{found.version}"',
        "x-config-version": found.version,
        "cache-control": "private, no-store",
    }
    known = {tag.strip().removeprefix("W/").strip('"') for tag in (if_none_match or "").split(",")}
    if found.version in known:
        return Response(None, status_code=304, headers=headers)
    return Response(found, headers=headers)


@get("/api/sync/cloud", tags=["Sync"], operation_id="cloud_sync_state")
async def cloud_sync_state(engine: TheEngine, operator: Operator) -> push.PushState:
    """Whether the configuration is pushed to a server of yours, and whether that knows this
    gateway."""
    return await push.cloud_state(engine, operator)


@post(
    "/api/sync/cloud",
    status_code=200,
    tags=["Sync"],
    operation_id="cloud_sync",
    responses={
        **PROBLEMS,
        502: ResponseSpec(
            data_container=Problem,
            description="The server refused, or did not answer.",
            generate_examples=False,
        ),
    },
)
async def cloud_sync(
    engine: TheEngine, operator: Operator, data: JSONBody[push.PushAction]
) -> push.PushDone:
    """Begin to push the configuration (`enable`), push it now (`sync`), or end it (`disable`)."""
    return await push.act(engine, operator, data)


@get("/api/sync/initialize", tags=["Sync"], operation_id="sync_schedulers")
async def sync_schedulers() -> Schedulers:
    """What pushes and fetches by itself; it starts with the gateway."""
    return Schedulers(initialized=True, model_sync_initialized=False, message=_RUNNING)


@post("/api/sync/initialize", status_code=200, tags=["Sync"], operation_id="start_sync")
async def start_sync() -> Started:
    """Nothing needs to be started: for clients that do it first."""
    return Started(message=_RUNNING, model_sync_enabled=False)


@post("/api/cloud/auth", status_code=200, tags=["Sync"], operation_id="cloud_auth")
async def cloud_auth(request: AnyRequest, engine: TheEngine, access: TheAccess) -> cloud.CloudState:
    """The active accounts, masked, and all aliases; for any valid key."""
    return await cloud.cloud_state(engine, _keyed(request, engine, access))


@put("/api/cloud/credentials/update", tags=["Sync"], operation_id="cloud_credentials")
async def cloud_credentials(request: AnyRequest, engine: TheEngine, operator: Operator) -> Done:
    """Other tokens for the first active sign-in at a provider."""
    return await _credentials(request, engine, operator)


@post(
    "/api/cloud/credentials/update",
    status_code=200,
    tags=["Sync"],
    operation_id="post_cloud_credentials",
)
async def post_cloud_credentials(
    request: AnyRequest, engine: TheEngine, operator: Operator
) -> Done:
    """The same as PUT, for clients that say POST."""
    return await _credentials(request, engine, operator)


@post("/api/cloud/model/resolve", status_code=200, tags=["Sync"], operation_id="cloud_resolve")
async def cloud_resolve(
    request: AnyRequest,
    engine: TheEngine,
    access: TheAccess,
    data: JSONBody[cloud.AliasQuestion],
) -> cloud.AliasAnswer:
    """What an alias stands for; for any valid key."""
    return await cloud.resolve_alias(engine, _reader(request, engine, access), data)


@get("/api/cloud/models/alias", tags=["Sync"], operation_id="cloud_aliases")
async def cloud_aliases(request: AnyRequest, engine: TheEngine, access: TheAccess) -> Aliases:
    """All aliases; for any valid key."""
    _reader(request, engine, access)
    return Aliases(dict(sorted(engine.snapshot.aliases.items())))


@put("/api/cloud/models/alias", tags=["Sync"], operation_id="cloud_alias")
async def cloud_alias(
    engine: TheEngine, operator: Operator, data: JSONBody[AliasInput]
) -> AliasDone:
    """Let an alias stand for a model, unless it stands for another one."""
    told = await cloud.cloud_alias(engine, operator, data)
    return AliasDone(model=data.model, alias=data.alias, message=told)


async def _credentials(request: AnyRequest, engine: Engine, operator: Caller) -> Done:
    given = decode_input(cloud.CredentialsInput, await request.body())
    return Done(message=await cloud.update_credentials(engine, operator, given))


def _keyed(request: AnyRequest, engine: Engine, access: Access) -> Caller:
    """The caller of a key.

    Raises:
        Unauthenticated: there is none, or it does not count.
    """
    key = bearer(headers_of(request.scope))
    if key is None:
        raise Unauthenticated("An API key is required: send 'Authorization: Bearer <key>'.")
    return access.admission.keyed_caller(
        engine.snapshot, "http", key, access.address_of(request.scope)
    )


def _reader(request: AnyRequest, engine: Engine, access: Access) -> Caller:
    """The caller of a key, or an operator."""
    if bearer(headers_of(request.scope)) is not None:
        return _keyed(request, engine, access)
    return access.operator(request.scope, engine.snapshot)


SYNC: tuple[HTTPRouteHandler, ...] = (
    list_sync_tokens,
    create_sync_token,
    revoke_sync_token,
    sync_bundle,
    cloud_sync_state,
    cloud_sync,
    sync_schedulers,
    start_sync,
    cloud_auth,
    cloud_credentials,
    post_cloud_credentials,
    cloud_resolve,
    cloud_aliases,
    cloud_alias,
)
"""Every route about the configuration for other gateways."""
