"""The pages as routes: plain files with strict rules about what they may load."""

from functools import cache
from importlib.resources import files
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Redirect

from omniroute.errors import NotFound
from omniroute.http.access import Access
from omniroute.http.browser_sessions import RENEWED_BELOW_S
from omniroute.http.dependencies import TheAccess, TheEngine
from omniroute.http.peers import headers_of

_TYPES = {
    "dashboard.js": "text/javascript",
    "forms.js": "text/javascript",
    "style.css": "text/css",
}
"""What pages load, by name."""

# Nothing from elsewhere, nothing inline, in no frame: a page can do what this gateway serves.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}

AnyRequest = Request[Any, Any, Any]


@get("/", include_in_schema=False, status_code=302)
async def front_page() -> Redirect:
    """Whoever opens the address in a browser finds the dashboard."""
    return Redirect("/dashboard", status_code=302)


@get("/login", include_in_schema=False)
async def login_page() -> Response[bytes]:
    """Where somebody signs in."""
    return _page("login.html")


@get("/login/{name:str}", include_in_schema=False)
async def page_part(name: FromPath[str]) -> Response[bytes]:
    """What pages load."""
    if name not in _TYPES:
        raise NotFound(f"There is nothing at '/login/{name}'.", code="not_found")
    return Response(_file(name), media_type=_TYPES[name], headers=HEADERS)


@get("/dashboard/onboarding", include_in_schema=False)
async def onboarding_page() -> Response[bytes]:
    """Where the first password is set."""
    return _page("onboarding.html")


@get("/dashboard", include_in_schema=False)
async def dashboard(request: AnyRequest, engine: TheEngine, access: TheAccess) -> Response[bytes]:
    """What the gateway does. A session that is about to end is made longer."""
    page = _page("dashboard.html")
    headers, hashed = headers_of(request.scope), engine.snapshot.password_hash
    left_s = access.sessions.left_s(headers, hashed)
    if hashed is not None and 0 < left_s < RENEWED_BELOW_S:
        cookie = access.sessions.header(
            access.sessions.issue(hashed), headers, request.scope["scheme"]
        )
        page.headers["set-cookie"] = cookie
    return page


def to_login(request: AnyRequest, access: Access) -> Response[bytes]:
    """The answer to a browser that wants a page and may not see it."""
    cookie = access.sessions.header("", headers_of(request.scope), request.scope["scheme"])
    return Response(b"", status_code=302, headers={"location": "/login", "set-cookie": cookie})


def _page(name: str) -> Response[bytes]:
    return Response(_file(name), media_type="text/html; charset=utf-8", headers=HEADERS)


@cache
def _file(name: str) -> bytes:
    return (files("omniroute.http.pages") / name).read_bytes()


PAGES: tuple[HTTPRouteHandler, ...] = (
    front_page,
    login_page,
    page_part,
    onboarding_page,
    dashboard,
)
"""Every page."""
