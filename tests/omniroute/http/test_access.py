"""Classes of routes, what counts as this machine, and pages of other sites."""

from typing import Any

import pytest
from tests.support.builders import snapshot

from omniroute.errors import Forbidden, InvalidRequest, Unauthenticated
from omniroute.http.access import Access
from omniroute.http.browser_sessions import BrowserSessions
from omniroute.http.paths import canonical_path
from omniroute.http.peers import client_address, is_loopback, presented_key
from omniroute.http.route_classes import RouteClass, route_class
from omniroute.pipeline.callers.admission import Admission
from omniroute.storage.records.configuration import ApiKey

CLASSES: dict[str, tuple[str, str, RouteClass]] = {
    "a model API": ("/v1/chat/completions", "POST", "CLIENT_API"),
    "the model list": ("/v1/models", "GET", "CLIENT_API"),
    "an unknown model API": ("/v1/nothing", "GET", "CLIENT_API"),
    "reading health": ("/api/monitoring/health", "GET", "PUBLIC"),
    "resetting health": ("/api/monitoring/health", "DELETE", "MANAGEMENT"),
    "a management route": ("/api/keys", "GET", "MANAGEMENT"),
    "an unknown route": ("/whatever", "GET", "MANAGEMENT"),
    "a name that only begins like a public one": ("/healthy", "GET", "MANAGEMENT"),
    "a name that only begins like a model API": ("/v1x", "GET", "MANAGEMENT"),
    "the card": ("/.well-known/agent-card.json", "GET", "PUBLIC"),
}


@pytest.mark.parametrize(("path", "method", "expected"), CLASSES.values(), ids=CLASSES)
def test_a_route_has_its_class(path: str, method: str, expected: RouteClass) -> None:
    assert route_class(path, method) == expected


PATHS = {
    "/v1/chat/completions": "/v1/chat/completions",
    "/v1/chat/completions/": "/v1/chat/completions",
    "/chat/completions": "/v1/chat/completions",
    "/v1/v1/messages": "/v1/messages",
    "/api/v1/messages": "/v1/messages",
    "/v1": "/v1/models",
    "/api/v1": "/v1/models",
    "/models": "/v1/models",
    "/": "/",
    "/v1beta/models": "/v1beta/models",
    "/api/v1x": "/api/v1x",
}


@pytest.mark.parametrize(("written", "handled"), PATHS.items(), ids=PATHS)
def test_aliases_are_one_path(written: str, handled: str) -> None:
    assert canonical_path(written, {}) == handled


SESSIONS = BrowserSessions(lambda: "s" * 32, lambda: 1_800_000_000_000)


def scope(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    """A request as the application sees it."""
    named = {"host": "localhost:20128", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return {
        "client": (peer, 50_000),
        "path": "/v1/models",
        "method": "GET",
        "state": {"request_id": "request-1"},
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


LOCAL: dict[str, tuple[dict[str, Any], bool]] = {
    "this machine": (scope(), True),
    "over IPv6": (scope("::1", host="[::1]:20128"), True),
    "IPv4 inside IPv6": (scope("::ffff:127.0.0.1"), True),
    "another address of this machine": (scope("127.8.8.8", host="127.8.8.8"), True),
    "another machine": (scope("192.0.2.7"), False),
    "a tunnel, by its host": (scope(host="me.tunnel.example"), False),
    "a host that only looks local": (scope(host="localhost.evil.example"), False),
    "no host": (scope(host=""), False),
    "a proxy for another machine": (scope(x_forwarded_for="192.0.2.7"), False),
    "a proxy for this machine": (scope(x_forwarded_for="127.0.0.1"), True),
    "one foreign hop is enough": (scope(x_forwarded_for="127.0.0.1, 192.0.2.7"), False),
    "the standard header": (scope(forwarded="for=192.0.2.7;proto=http"), False),
    "the standard header, local": (scope(forwarded='for="127.0.0.1"'), True),
    "a content network": (scope(cf_connecting_ip="192.0.2.7"), False),
    "nonsense in a forwarding header": (scope(x_real_ip="unknown"), False),
}


@pytest.mark.parametrize(("request_", "expected"), LOCAL.values(), ids=LOCAL)
def test_this_machine_cannot_be_claimed(request_: dict[str, Any], expected: bool) -> None:
    assert is_loopback(request_) is expected


def test_a_container_network_can_be_called_local() -> None:
    assert is_loopback(scope("172.17.0.1"), ("172.17.0.0/16",))


def key(name: str, **more: Any) -> ApiKey:
    return ApiKey(
        id=name, name=name, key_hash=f"#{name}", prefix="", suffix="", machine_id="", **more
    )


WORLD = snapshot(
    keys=[
        key("plain"),
        key("boss", scopes=("manage",)),
        key("off", is_active=False),
        key("banned", is_banned=True),
        key("revoked", revoked_at="2026-01-01T00:00:00Z"),
        key("old", expires_at="2026-01-01T00:00:00Z"),
    ]
)


def access(*, require_key: bool = False, env_key: str | None = None) -> Access:
    admission = Admission(
        hash_key=lambda text: f"#{text}",
        now_ms=lambda: 1_800_000_000_000,
        env_key=env_key,
        require_key=require_key,
    )
    return Access(admission, SESSIONS, may_read=lambda origin: origin == "https://mine.example")


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def test_callers_of_the_model_apis() -> None:
    relaxed, strict = access(), access(require_key=True, env_key="env")
    assert relaxed.client(scope(), WORLD).key_id is None
    assert relaxed.client(scope(**bearer("nobody")), WORLD).key_id is None
    assert strict.client(scope(**bearer("plain")), WORLD).key_id == "plain"
    assert strict.client(scope(**bearer("env")), WORLD).is_operator
    for nobody in (scope(), scope(**bearer("nobody")), scope(authorization="Basic plain")):
        with pytest.raises(Unauthenticated):
            strict.client(nobody, WORLD)
    for spent in ("off", "banned", "revoked", "old"):
        with pytest.raises(Forbidden):
            relaxed.client(scope(**bearer(spent)), WORLD)


def test_operators() -> None:
    door = access()
    assert door.operator(scope(), WORLD).is_operator
    assert door.operator(scope("192.0.2.7", **bearer("boss")), WORLD).key_id == "boss"
    with pytest.raises(Unauthenticated):
        door.operator(scope("192.0.2.7"), WORLD)
    with pytest.raises(Forbidden):
        door.operator(scope("192.0.2.7", **bearer("plain")), WORLD)


def test_pages_of_other_sites_have_nothing_to_show() -> None:
    door = access()
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        for ask in (door.client, door.operator):
            with pytest.raises(Forbidden, match="CORS_ALLOWED_ORIGINS"):
                ask(scope(origin=origin), WORLD)
    for origin in ("http://localhost:3000", "http://127.0.0.1", "https://mine.example"):
        assert door.client(scope(origin=origin), WORLD).key_id is None
    assert door.client(scope(origin="https://evil.example", **bearer("plain")), WORLD).key_id


KEYS = {
    "bearer": ({"authorization": "bearer  k "}, "k"),
    "an empty bearer": ({"authorization": "Bearer "}, None),
    "x-api-key with its version": ({"x-api-key": "k", "anthropic-version": "1"}, "k"),
    "x-api-key alone is a placeholder": ({"x-api-key": "k"}, None),
    "bearer before x-api-key": (
        {"authorization": "Bearer b", "x-api-key": "k", "anthropic-version": "1"},
        "b",
    ),
}


@pytest.mark.parametrize(("headers", "expected"), KEYS.values(), ids=KEYS)
def test_where_a_key_may_be(headers: dict[str, str], expected: str | None) -> None:
    assert presented_key(asked(headers)) == expected


GEMINI_KEYS = {
    "its own header": ({"x-goog-api-key": "g"}, b"", "g"),
    "in the address": ({}, b"alt=sse&key=q", "q"),
    "the header before the address": ({"x-goog-api-key": "g"}, b"key=q", "g"),
    "bearer before all": ({"authorization": "Bearer b", "x-goog-api-key": "g"}, b"key=q", "b"),
    "none": ({}, b"key=", None),
}


@pytest.mark.parametrize(("headers", "query", "expected"), GEMINI_KEYS.values(), ids=GEMINI_KEYS)
def test_where_gemini_clients_put_keys(
    headers: dict[str, str], query: bytes, expected: str | None
) -> None:
    scope = asked(headers, path="/v1beta/models", query=query)
    assert presented_key(scope) == expected
    # Elsewhere such a key is not looked for.
    elsewhere = {name: value for name, value in headers.items() if name != "authorization"}
    assert presented_key(asked(elsewhere, query=query)) is None


def asked(
    headers: dict[str, str], *, path: str = "/v1/models", query: bytes = b""
) -> dict[str, Any]:
    """The part of an ASGI scope a key may be in."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"path": path, "query_string": query, "headers": pairs}


HOSTS = {
    "by name": ("localhost", True),
    "in capitals": ("LOCALHOST:1", True),
    "an address": ("127.0.0.1:20128", True),
    "in brackets": ("[::1]", True),
    "in brackets with a port": ("[::1]:1", True),
    "something behind the brackets": ("[::1]evil.example", False),
    "something behind the port": ("127.0.0.1:1@evil.example", False),
    "a longer name": ("localhost.evil.example", False),
    "an address as part of a name": ("127.0.0.1.evil.example", False),
    "brackets that do not close": ("[::1", False),
    "another machine": ("192.0.2.7:1", False),
}


@pytest.mark.parametrize(("host", "expected"), HOSTS.values(), ids=HOSTS)
def test_a_host_names_this_machine_or_not(host: str, expected: bool) -> None:
    assert is_loopback(scope(host=host)) is expected


def test_a_trusted_network_may_be_written_by_any_address_of_it() -> None:
    assert is_loopback(scope("172.17.0.1"), ("172.17.0.9/16",))
    assert not is_loopback(scope("172.18.0.1"), ("172.17.0.9/16",))
    assert not is_loopback(scope("2001:db8::1"), ("172.17.0.9/16",))


def test_a_trusted_network_that_is_none_stops_the_start() -> None:
    with pytest.raises(InvalidRequest, match="'nonsense' is not a network"):
        Access(access().admission, SESSIONS, trusted_local=("10.0.0.0/8", "nonsense"))


HERE, THERE = "127.0.0.1", "192.0.2.8"
Headers = list[tuple[str, str]]
FORWARDED: dict[str, tuple[str | None, Headers, str | None]] = {
    "nobody knows": (None, [("x-real-ip", "192.0.2.7")], None),
    "the peer": (THERE, [], THERE),
    "a stranger says so": (THERE, [("x-forwarded-for", "192.0.2.7")], THERE),
    "this machine says so": (HERE, [("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
    "through two proxies": (HERE, [("x-forwarded-for", "192.0.2.7, 10.0.0.1")], "192.0.2.7"),
    "what a client made up": (HERE, [("x-forwarded-for", "10.9.9.9, 192.0.2.7")], "192.0.2.7"),
    "in a header of its own": (
        HERE,
        [("x-forwarded-for", "192.0.2.9"), ("X-Forwarded-For", "192.0.2.7")],
        "192.0.2.7",
    ),
    "or in another one": (
        HERE,
        [("cf-connecting-ip", "192.0.2.9"), ("x-forwarded-for", "192.0.2.7")],
        "192.0.2.7",
    ),
    "a tunnel says so": (HERE, [("cf-connecting-ip", "192.0.2.7")], "192.0.2.7"),
    "a known proxy says so": ("10.0.0.1", [("x-real-ip", "192.0.2.7")], "192.0.2.7"),
    "nonsense is nobody's address": (HERE, [("x-forwarded-for", "unknown")], "unknown"),
    "this machine itself": (HERE, [("x-forwarded-for", "127.0.0.1")], HERE),
}


@pytest.mark.parametrize(("peer", "headers", "expected"), FORWARDED.values(), ids=FORWARDED)
def test_whose_word_counts_about_addresses(
    peer: str | None, headers: Headers, expected: str | None
) -> None:
    scope = {
        "client": None if peer is None else (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    assert client_address(scope, ("10.0.0.0/8",)) == expected


def test_proxies_are_networks() -> None:
    admission = Admission(lambda text: text, lambda: 0, None, require_key=False)
    with pytest.raises(InvalidRequest, match="OMNIROUTE_TRUSTED_PROXIES"):
        Access(admission, SESSIONS, proxies=("10.0.0.0/8", "home"))
