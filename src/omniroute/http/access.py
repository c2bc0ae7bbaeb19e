"""Who a request's author is, and whether the class of its route lets them in. 02 §2.3-2.5."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from omniroute.caller import Caller, covers, run_named
from omniroute.errors import Forbidden, Unauthenticated
from omniroute.http.browser_sessions import BrowserSessions
from omniroute.http.peers import (
    Scope,
    client_address,
    headers_of,
    is_local_host,
    is_loopback,
    presented_key,
    require_networks,
)
from omniroute.http.route_classes import RouteRule, rule_for
from omniroute.pipeline.callers.admission import RUN_HEADER, Admission, bearer
from omniroute.routing.snapshot import Snapshot

CLI_TOKEN_HEADER = "x-omniroute-cli-token"  # noqa: S105
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Access:
    """Decides who a request's author is, by the class of its route.

    `sessions` reads the cookies of browsers, `cli_token` is what the command line of this machine
    shows (None: it shows none). `trusted_local` are networks whose peers count as this machine
    (container gateways). `may_read` says whether the operator lets a browser origin use the
    gateway. `proxies` are networks whose peers are believed when they say for whom they ask.
    """

    admission: Admission
    sessions: BrowserSessions
    cli_token: str | None = None
    trusted_local: tuple[str, ...] = ()
    may_read: Callable[[str], bool] = lambda _origin: False
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_networks("OMNIROUTE_TRUSTED_LOCAL_CIDRS", self.trusted_local)
        require_networks("OMNIROUTE_TRUSTED_PROXIES", self.proxies)

    def client(self, scope: Scope, snapshot: Snapshot) -> Caller:
        """The caller of a model API.

        Raises:
            Unauthenticated: a key is required.
            Forbidden: the key is switched off, banned or expired, or may not be used now or
                from there, or a page of a foreign origin asks with no key.
        """
        headers = headers_of(scope)
        key, address = presented_key(scope), self.address_of(scope)
        if "cookie" in headers and key is None and self._in_session(headers, snapshot):
            self._require_own_page(scope, headers)
            caller = Caller(door="http", credential="session")
        else:
            caller = self.admission.caller(snapshot, "http", key, address)
            if caller.key_id is None:
                self._require_own_origin(headers)
        run = run_named(headers.get(RUN_HEADER), headers.get("traceparent"))
        return caller if run is None else replace(caller, run_id=run)

    def operator(self, scope: Scope, snapshot: Snapshot) -> Caller:
        """The caller of a management route: somebody who has signed in, this machine's command
        line, a key that may manage, or this machine's user while nobody has to sign in.

        Raises:
            Unauthenticated: none of them.
            Forbidden: a key that may not manage, or a route that only this machine may use.
        """
        known = self._operator(scope, snapshot)
        return replace(
            known, address=self.address_of(scope), request_id=scope["state"]["request_id"]
        )

    def _operator(self, scope: Scope, snapshot: Snapshot) -> Caller:
        headers, rule = headers_of(scope), rule_for(scope["path"], scope["method"])
        tier = rule.tier
        local = self.is_local(scope)
        if tier == "local_only" and not local:
            raise Forbidden("Only this machine may use this route.", code="LOCAL_ONLY")
        token = headers.get(CLI_TOKEN_HEADER, "")
        if tier != "always_protected" and local and self._is_cli(token):
            return Caller(door="http", is_operator=True, credential="cli")
        if self._in_session(headers, snapshot):
            self._require_own_page(scope, headers)
            return Caller(door="http", is_operator=True, credential="session")
        key = bearer(headers)
        if key is not None and (known := self._managing(scope, snapshot, key, rule)) is not None:
            return known
        if tier != "always_protected" and not snapshot.login_required(local=local):
            self._require_own_origin(headers)
            return Caller(door="http", is_operator=True)
        if key is not None:
            raise Forbidden(
                "This API key may not manage the gateway; it needs the scope 'manage'.",
                code="AUTH_001",
            )
        raise Unauthenticated(_who_may(snapshot, local=local), code="AUTH_001")

    def _managing(
        self, scope: Scope, snapshot: Snapshot, key: str, rule: RouteRule
    ) -> Caller | None:
        try:
            known = self.admission.keyed_caller(snapshot, "http", key, self.address_of(scope))
        except Unauthenticated:
            return None
        scoped = rule.scope is not None and covers(known.scopes, rule.scope)
        return known if known.is_operator or scoped else None

    def visitor(self, scope: Scope) -> Caller:
        """Anybody, for routes that check by themselves who may do what."""
        return Caller(
            door="http",
            address=self.address_of(scope),
            request_id=scope["state"]["request_id"],
        )

    def signed_in(self, scope: Scope, snapshot: Snapshot) -> bool:
        """Whether a browser brings a session that counts."""
        return self._in_session(headers_of(scope), snapshot)

    def _in_session(self, headers: Mapping[str, str], snapshot: Snapshot) -> bool:
        return self.sessions.left_s(headers, snapshot.password_hash) > 0

    def _is_cli(self, token: str) -> bool:
        if self.cli_token is None:
            return False
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.cli_token.encode())

    def _require_own_page(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """A browser sends its cookies along with whatever a page makes it send, so a change has
        to come from a page of the gateway itself."""
        origin = headers.get("origin")
        if origin is None or scope["method"] in _SAFE or self.may_read(origin):
            return
        if origin.partition("://")[2].lower() != headers.get("host", "").lower():
            raise _foreign(origin)

    def _require_own_origin(self, headers: Mapping[str, str]) -> None:
        """A page of some other site can make a browser send requests here. Without a key, such
        a request has nothing to show for itself but the place it came from."""
        origin = headers.get("origin")
        if origin is None or self.may_read(origin):
            return
        if not is_local_host(origin.partition("://")[2]):
            raise _foreign(origin)

    def address_of(self, scope: Scope) -> str | None:
        """Where a request comes from; None when nobody knows."""
        return client_address(scope, self.proxies)

    def is_local(self, scope: Scope) -> bool:
        """Whether the request comes from this machine."""
        return is_loopback(scope, self.trusted_local)


def _who_may(snapshot: Snapshot, *, local: bool) -> str:
    if snapshot.password_hash is None and local:
        return (
            "This needs somebody who has signed in, or an API key with the scope 'manage'. Nobody "
            "has set a password yet: PUT /api/settings/require-login with one, then "
            "POST /api/auth/login."
        )
    if snapshot.password_hash is None:
        return (
            "Managing the gateway from another machine needs an API key with the scope 'manage'. "
            "To sign in with a password, set one on the machine it runs on: "
            "PUT /api/settings/require-login."
        )
    return "Sign in with POST /api/auth/login, or send an API key with the scope 'manage'."


def _foreign(origin: str) -> Forbidden:
    return Forbidden(
        f"Pages of {origin} may not use the gateway without an API key. Allow the origin "
        "with CORS_ALLOWED_ORIGINS.",
        code="origin_not_allowed",
    )
