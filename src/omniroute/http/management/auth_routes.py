"""Signing in, and what guards the management plane, as routes (02 §3, §10.4, §14.1)."""

import platform
from typing import Annotated, Any, Literal

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from omniroute.errors import Forbidden, Unauthenticated, ValidationFailed
from omniroute.http.access import Access
from omniroute.http.dependencies import Operator, TheAccess, TheEngine, Visitor
from omniroute.http.done import Done
from omniroute.http.peers import headers_of
from omniroute.http.problems import delete, get, post, put
from omniroute.operations.access import ip_filter, login_guard, sign_in
from omniroute.operations.access.audit import note
from omniroute.operations.access.ip_filter import IpFilterChange, IpFilterView
from omniroute.operations.access.login_guard import LockedIdentifier
from omniroute.operations.access.sign_in import LoginRulesChange, SignIn


class Refusal(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Why somebody could not sign in."""

    error: str
    needs_setup: bool = False


class AuthStatus(Struct, frozen=True):
    """Whether the browser that asks is signed in."""

    authenticated: bool


class LoginPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a sign-in page needs to know before anybody has signed in."""

    require_login: bool
    has_password: bool
    setup_complete: bool
    runtime_version: str
    runtime_compatible: bool = True
    node_version: None = None
    node_compatible: bool = True


class Policies(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is locked out."""

    locked_identifiers: list[LockedIdentifier]
    policies: tuple[()] = ()


class PolicyAction(Struct, frozen=True):
    """What is to be done to whom."""

    action: Literal["unlock"]
    identifier: str


class Unlocked(Struct, frozen=True):
    """Somebody may try again."""

    success: bool
    action: str
    identifier: str | None


AnyRequest = Request[Any, Any, Any]
Named = Annotated[str | None, QueryParameter()]


@post("/api/auth/login", status_code=200, tags=["Sign-in"], operation_id="sign_in")
async def login(
    request: AnyRequest,
    engine: TheEngine,
    access: TheAccess,
    visitor: Visitor,
    data: JSONBody[SignIn],
) -> Response[Done | Refusal]:
    """Sign in with the password. The answer sets a cookie that lasts 30 days at most."""
    try:
        hashed = await sign_in.sign_in(engine, visitor, data)
    except Unauthenticated as error:
        return Response(Refusal(error=str(error)), status_code=401)
    except Forbidden as error:
        return Response(Refusal(error=str(error), needs_setup=True), status_code=403)
    cookie = _cookie(request, access, access.sessions.issue(hashed))
    return Response(Done(), headers={"set-cookie": cookie})


@post("/api/auth/logout", status_code=200, tags=["Sign-in"], operation_id="sign_out")
async def logout(
    request: AnyRequest, engine: TheEngine, access: TheAccess, visitor: Visitor
) -> Response[Done]:
    """Forget the cookie."""
    await note(engine, visitor, "auth.logout.success", sign_in.TARGET)
    return Response(Done(), headers={"set-cookie": _cookie(request, access, "")})


@get("/api/auth/status", tags=["Sign-in"], operation_id="sign_in_status")
async def status(request: AnyRequest, engine: TheEngine, access: TheAccess) -> AuthStatus:
    """Whether the browser that asks is signed in."""
    return AuthStatus(access.signed_in(request.scope, engine.snapshot))


@get("/api/settings/require-login", tags=["Sign-in"], operation_id="login_rules")
async def get_rules(engine: TheEngine, visitor: Visitor) -> LoginPage:
    """Whether somebody has to sign in, and whether a password exists."""
    rules = await sign_in.login_rules(engine, visitor)
    return LoginPage(
        require_login=rules.require_login,
        has_password=rules.has_password,
        setup_complete=rules.setup_complete,
        runtime_version=platform.python_version(),
    )


@put("/api/settings/require-login", tags=["Sign-in"], operation_id="change_login_rules")
async def put_rules(
    engine: TheEngine, operator: Operator, data: JSONBody[LoginRulesChange]
) -> Done:
    """Set a password, or say whether one is asked for. A new password ends all sessions."""
    await sign_in.change_login_rules(engine, operator, data)
    return Done()


@post(
    "/api/settings/require-login",
    status_code=200,
    tags=["Sign-in"],
    operation_id="post_login_rules",
)
async def post_rules(
    engine: TheEngine, operator: Operator, data: JSONBody[LoginRulesChange]
) -> Done:
    """The same as PUT, for clients that say POST."""
    await sign_in.change_login_rules(engine, operator, data)
    return Done()


@get("/api/settings/ip-filter", tags=["Sign-in"], operation_id="ip_filter")
async def get_filter(engine: TheEngine, operator: Operator) -> IpFilterView:
    """Which addresses may connect."""
    return await ip_filter.ip_filter(engine, operator)


@put("/api/settings/ip-filter", tags=["Sign-in"], operation_id="change_ip_filter")
async def put_filter(
    engine: TheEngine, operator: Operator, data: JSONBody[IpFilterChange]
) -> IpFilterView:
    """Change which addresses may connect. This machine always may."""
    return await ip_filter.change_ip_filter(engine, operator, data)


@get("/api/policies", tags=["Sign-in"], operation_id="policies")
async def get_policies(engine: TheEngine, operator: Operator) -> Policies:
    """Who is locked out after too many wrong passwords."""
    locked = await login_guard.locked_identifiers(engine, operator)
    return Policies(locked_identifiers=locked)


@post("/api/policies", status_code=200, tags=["Sign-in"], operation_id="unlock")
async def post_policy(
    engine: TheEngine, operator: Operator, data: JSONBody[PolicyAction]
) -> Unlocked:
    """Let somebody try again at once."""
    await login_guard.unlock(engine, operator, data.identifier)
    return Unlocked(success=True, action="unlocked", identifier=data.identifier)


@delete("/api/policies", status_code=200, tags=["Sign-in"], operation_id="unlock_all")
async def delete_policy(
    engine: TheEngine, operator: Operator, identifier: Named = None
) -> Unlocked:
    """Let somebody try again at once; without `identifier`, everybody."""
    if identifier is not None and not identifier.strip():
        raise ValidationFailed([("identifier", "must not be blank")])
    await login_guard.unlock(engine, operator, identifier)
    return Unlocked(success=True, action="unlocked", identifier=identifier)


def _cookie(request: AnyRequest, access: Access, value: str) -> str:
    return access.sessions.header(value, headers_of(request.scope), request.scope["scheme"])


AUTH: tuple[HTTPRouteHandler, ...] = (
    login,
    logout,
    status,
    get_rules,
    put_rules,
    post_rules,
    get_filter,
    put_filter,
    get_policies,
    post_policy,
    delete_policy,
)
"""Every route about signing in."""
