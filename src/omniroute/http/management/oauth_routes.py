"""Signing in to accounts of providers as routes, and the page browsers come back to (02 §5).

The routes are public by their class; each asks for an operator, because it creates credentials.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeAlias

from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from omniroute.caller import Caller
from omniroute.catalog.names import did_you_mean
from omniroute.engine import Engine
from omniroute.errors import InvalidRequest
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import PROBLEMS, Problem
from omniroute.operations.accounts.oauth import devices, sign_in, tokens
from omniroute.operations.accounts.oauth.accounts import SignedIn
from omniroute.operations.accounts.oauth.providers import sign_in_provider
from omniroute.operations.inputs import decode_input
from omniroute.pipeline.accounts import callback_page

Begun: TypeAlias = sign_in.Authorization | sign_in.Listening | dict[str, Any]
Ended: TypeAlias = SignedIn | sign_in.NotYet
Began = Callable[[Engine, Caller, str, str | None], Awaitable[Begun]]
Continued = Callable[[Engine, Caller, str, bytes], Awaitable[Ended]]

RedirectUri = Annotated[str | None, QueryParameter(name="redirect_uri", max_length=2_000)]
AnyRequest: TypeAlias = Request[Any, Any, Any]


async def _authorize(engine: Engine, caller: Caller, name: str, uri: str | None) -> Begun:
    return await sign_in.authorize(engine, caller, name, uri)


async def _device(engine: Engine, caller: Caller, name: str, _uri: str | None) -> Begun:
    return await devices.device_code(engine, caller, name)


async def _listen(engine: Engine, caller: Caller, name: str, _uri: str | None) -> Begun:
    return await sign_in.listen(engine, caller, name)


async def _exchange(engine: Engine, caller: Caller, name: str, body: bytes) -> Ended:
    given = decode_input(sign_in.ExchangeInput, body)
    return await sign_in.exchange(engine, caller, name, given)


async def _poll(engine: Engine, caller: Caller, name: str, body: bytes) -> Ended:
    return await devices.poll(engine, caller, name, decode_input(devices.PollInput, body))


async def _poll_callback(engine: Engine, caller: Caller, name: str, body: bytes) -> Ended:
    given = decode_input(sign_in.CallbackPoll, body or b"{}")
    return await sign_in.poll_callback(engine, caller, name, given)


async def _import(engine: Engine, caller: Caller, name: str, body: bytes) -> Ended:
    given = decode_input(tokens.TokenInput, body)
    return await tokens.import_token(engine, caller, name, given)


FAILURES: Mapping[int, ResponseSpec] = {
    **PROBLEMS,
    **{
        status: ResponseSpec(data_container=Problem, description=text, generate_examples=False)
        for status, text in {
            401: "An operator is needed; or the account has to be signed in to again.",
            409: "No client of the provider is configured, or its port is taken.",
            422: "The account has no refresh token.",
            502: "The provider refused, or did not answer.",
        }.items()
    },
}

BEGINNINGS: Mapping[str, Began] = {
    "authorize": _authorize,
    "device-code": _device,
    "start-callback-server": _listen,
}
ENDINGS: Mapping[str, Continued] = {
    "exchange": _exchange,
    "poll": _poll,
    "poll-callback": _poll_callback,
    "import-token": _import,
}


@get(
    "/api/oauth/{provider:str}/{action:str}",
    tags=["OAuth"],
    operation_id="begin_sign_in",
    responses=dict(FAILURES),
)
async def begin_sign_in(
    engine: TheEngine,
    operator: Operator,
    provider: FromPath[str],
    action: FromPath[str],
    redirect_uri: RedirectUri = None,
) -> Begun:
    """Begin to sign in: `authorize` for an address to send a browser to, `device-code` for a code
    to type in elsewhere, `start-callback-server` to wait for a browser on a port of this machine.
    """
    sign_in_provider(engine, provider)
    begin = BEGINNINGS.get(action)
    if begin is None:
        raise _unknown(action, "GET")
    return await begin(engine, operator, provider, redirect_uri)


@post(
    "/api/oauth/{provider:str}/{action:str}",
    status_code=200,
    tags=["OAuth"],
    operation_id="end_sign_in",
    responses=dict(FAILURES),
)
async def end_sign_in(
    request: AnyRequest,
    engine: TheEngine,
    operator: Operator,
    provider: FromPath[str],
    action: FromPath[str],
) -> Ended:
    """Go on: `exchange` a code, `poll` a device code, `poll-callback` for the browser that is
    waited for, `import-token` for a personal token."""
    sign_in_provider(engine, provider)
    go_on = ENDINGS.get(action)
    if go_on is None:
        raise _unknown(action, "POST")
    return await go_on(engine, operator, provider, await request.body())


@post(
    "/api/providers/{connection_id:str}/refresh",
    status_code=200,
    tags=["OAuth"],
    operation_id="refresh_connection",
    responses=dict(FAILURES),
)
async def refresh_connection(
    engine: TheEngine, operator: Operator, connection_id: FromPath[str]
) -> tokens.Refreshed:
    """Renew the tokens of an account now."""
    return await tokens.refresh_account(engine, operator, connection_id)


@get(
    "/callback",
    tags=["OAuth"],
    operation_id="sign_in_page",
    media_type=MediaType.HTML,
    sync_to_thread=False,
)
def sign_in_page(request: AnyRequest, engine: TheEngine) -> Response[str]:
    """Where a provider sends the browser back to: shows the code, or passes it on to the sign-in
    that waits for it."""
    query = request.scope["query_string"].decode("latin-1")
    waited, arrived, state = engine.callbacks.came(query)
    if arrived.error is not None:
        page = callback_page.error_page(arrived.error, arrived.description)
    elif arrived.code is None:
        page = callback_page.empty_page()
    elif waited:
        page = callback_page.finished_page()
    else:
        page = callback_page.code_page(arrived.code, state)
    return Response(page, media_type=MediaType.HTML, headers=dict(callback_page.HEADERS))


def _unknown(action: str, method: str) -> InvalidRequest:
    actions = BEGINNINGS if method == "GET" else ENDINGS
    others = ENDINGS if method == "GET" else BEGINNINGS
    if action in others:
        other = "POST" if method == "GET" else "GET"
        return InvalidRequest(f"The action '{action}' is asked for with {other}.", param="action")
    hint = did_you_mean(action, [*actions, *others])
    return InvalidRequest(f"There is no action '{action}'.{hint}", param="action")


OAUTH_ROUTES: tuple[HTTPRouteHandler, ...] = (
    begin_sign_in,
    end_sign_in,
    refresh_connection,
    sign_in_page,
)
"""Every route about signing in to accounts."""
