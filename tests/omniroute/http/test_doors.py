"""Every route behind its door: who gets in, and in which words the others are turned away."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar.types.internal_types import PathParameterDefinition
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

from omniroute import __version__
from omniroute.http.app import routes as declared
from omniroute.http.route_classes import RouteClass, route_class, rule_for

pytestmark = pytest.mark.anyio

Route = tuple[str, str]
"""Method and path."""


def routes() -> list[Route]:
    """Every route of the application, parameters filled in."""
    found: set[Route] = set()
    for route in declared(__version__).routes:
        path = "/" + "/".join(
            "some-id" if isinstance(part, PathParameterDefinition) else part
            for part in route.path_components
        )
        methods: set[str] = set(getattr(route, "methods", ()))
        found |= {(method, path) for method in methods - {"OPTIONS"}}
    return sorted(found)


async def ask(client: httpx.AsyncClient, route: Route, **more: Any) -> httpx.Response:
    method, path = route
    return await client.request(method, path, **more)


OWN_CREDENTIALS = {"/api/sync/bundle", "/api/cloud/auth"}
"""Public routes whose handlers ask for a token or key, wherever a request comes from."""


async def test_every_route_is_in_a_class_and_answers_whoever_may_ask(site: OpenSite) -> None:
    seen: set[RouteClass] = set()
    async with site(ALLOW_API_KEY_REVEAL="true") as gateway, gateway.as_peer() as client:
        for method, path in routes():
            response = await client.request(method, path, content=b"{}")
            expected = route_class(path, method)
            seen.add(expected)
            assert response.headers["x-omniroute-route-class"] == expected, path
            if rule_for(path, method).tier == "always_protected" or path in OWN_CREDENTIALS:
                assert response.status_code == 401, (method, path)
                continue
            assert response.status_code not in (401, 403, 405, 500), (method, path, response.text)
    assert seen == {"PUBLIC", "CLIENT_API", "MANAGEMENT"}


UNREADABLE = {
    "malformed": b"{",
    "not UTF-8": b'{"name": "\xed\xa0\x80"}',
    "nested beyond reason": b"[" * 100_000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_body_nobody_can_read_is_its_senders_fault_on_every_route(
    site: OpenSite, body: bytes
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        for method, path in routes():
            if method in ("POST", "PUT", "PATCH"):
                response = await client.request(
                    method, path, content=body, headers={"content-type": "application/json"}
                )
                assert response.status_code < 500, (method, path, response.text)


@pytest.mark.parametrize(
    "body", [b"{}", b"", *UNREADABLE.values()], ids=["empty", "none", *UNREADABLE]
)
async def test_strangers_see_the_same_401_on_every_management_route(
    site: OpenSite, body: bytes
) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        managed = [
            (method, path)
            for method, path in routes()
            if route_class(path, method) == "MANAGEMENT" and path != "/dashboard"
        ]
        probes = [*managed, ("GET", "/api/nothing"), ("PATCH", "/api/combos"), ("GET", "/nothing")]
        answers = {
            route: await ask(
                client, route, content=body, headers={"content-type": "application/json"}
            )
            for route in probes
        }
        told = {
            route: (one.status_code, one.json()["error"]["code"]) for route, one in answers.items()
        }
    assert told == dict.fromkeys(probes, (401, "AUTH_001"))


async def test_strangers_who_want_a_page_are_led_to_sign_in(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        answers = [await client.get(path) for path in ("/dashboard", "/dashboard/nothing")]
        login = await client.get("/login")
    assert [(one.status_code, one.headers["location"]) for one in answers] == [
        (302, "/login"),
        (302, "/login"),
    ]
    assert all("Max-Age=0" in one.headers["set-cookie"] for one in answers)
    assert login.headers["content-security-policy"].startswith("default-src 'none'")


async def test_strangers_need_a_key_for_the_model_apis_where_one_is_required(
    site: OpenSite,
) -> None:
    async with site(REQUIRE_API_KEY="true") as gateway, gateway.as_peer(ELSEWHERE) as client:
        client_api = [one for one in routes() if one[1].startswith("/v1")]
        for route in client_api:
            response = await ask(client, route, content=b"{")
            assert response.status_code == 401, route


async def test_a_key_gets_in_by_its_scopes(site: OpenSite) -> None:
    async with site(REQUIRE_API_KEY="true") as gateway, gateway.as_peer() as operator:
        made = {
            name: (await operator.post("/api/keys", json={"name": name, "scopes": scopes})).json()
            for name, scopes in {"plain": [], "manager": ["manage"]}.items()
        }
        async with gateway.as_peer(ELSEWHERE) as client:
            told = {
                (name, path): (
                    await client.get(path, headers={"authorization": f"Bearer {key['key']}"})
                ).status_code
                for name, key in made.items()
                for path in ("/v1/models", "/api/combos")
            }
            unknown = await client.get("/api/combos", headers={"authorization": "Bearer nobody"})
            await operator.delete(f"/api/keys/{made['manager']['id']}")
            gone = await client.get(
                "/v1/models", headers={"authorization": f"Bearer {made['manager']['key']}"}
            )
    assert told == {
        ("plain", "/v1/models"): 200,
        ("plain", "/api/combos"): 403,
        ("manager", "/v1/models"): 200,
        ("manager", "/api/combos"): 200,
    }
    assert (unknown.status_code, gone.status_code) == (403, 401)


PAGES = {
    "a page of another site": ("https://evil.example", 403),
    "a page of nowhere": ("null", 403),
    "a page that only looks local": ("http://localhost.evil.example", 403),
    "a page with a name before the host": ("http://localhost:1@evil.example", 403),
    "a host in broken brackets": ("http://[::1", 403),
    "a host behind brackets": ("http://[::1]evil.example", 403),
    "a page of this machine": ("http://localhost:3000", 200),
    "a page of this machine over IPv6": ("http://[::1]:3000", 200),
}


@pytest.mark.parametrize(("origin", "status"), PAGES.values(), ids=PAGES)
async def test_pages_of_other_sites_may_not_use_the_gateway_without_a_key(
    site: OpenSite, origin: str, status: int
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        answers = [
            await client.get(path, headers={"origin": origin})
            for path in ("/v1/models", "/api/combos")
        ]
        chat = await client.post(
            "/v1/chat/completions",
            json={"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]},
            headers={"origin": origin},
        )
    assert [response.status_code for response in (*answers, chat)] == [status] * 3


ABSENT: dict[str, tuple[Route, int, dict[str, Any]]] = {
    "an unknown model API": (
        ("GET", "/v1/nothing"),
        404,
        {
            "error": {
                "message": "There is nothing at '/v1/nothing'.",
                "type": "invalid_request_error",
                "code": "not_found",
                "param": None,
            }
        },
    ),
    "an unknown management route": (
        ("GET", "/api/nothing"),
        404,
        {"error": "There is nothing at '/api/nothing'."},
    ),
    "another method of a model API": (
        ("GET", "/v1/chat/completions"),
        405,
        {
            "error": {
                "message": "'/v1/chat/completions' does not answer GET.",
                "type": "invalid_request_error",
                "code": "method_not_allowed",
                "param": None,
            }
        },
    ),
    "another method of a management route": (
        ("PUT", "/api/combos"),
        405,
        {"error": "'/api/combos' does not answer PUT."},
    ),
}


@pytest.mark.parametrize(("route", "status", "body"), ABSENT.values(), ids=ABSENT)
async def test_what_is_not_there_is_told_in_the_dialect_of_its_path(
    site: OpenSite, route: Route, status: int, body: dict[str, Any]
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        response = await ask(client, route)
    assert (response.status_code, response.json()) == (status, body)


async def test_anthropics_paths_speak_anthropic(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        missing = await client.get("/v1/messages/nothing")
        wrong = await client.get("/v1/messages")
        broken = await client.post("/v1/messages", content=b"{")
    told = [(one.status_code, one.json()["error"]["type"]) for one in (missing, wrong, broken)]
    assert told == [
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (400, "invalid_request_error"),
    ]
    assert missing.json()["request_id"] == missing.headers["x-request-id"]


ALLOWED = {
    "/v1/chat/completions": {"OPTIONS", "POST"},
    "/v1/models": {"GET", "OPTIONS"},
    "/api/combos": {"GET", "OPTIONS", "POST"},
    "/api/keys/some-id": {"DELETE", "GET", "OPTIONS", "PATCH"},
}


@pytest.mark.parametrize(("path", "methods"), ALLOWED.items(), ids=ALLOWED)
async def test_a_method_that_is_not_answered_hears_which_are(
    site: OpenSite, path: str, methods: set[str]
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        response = await client.put(path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == methods


TOO_LARGE = {
    "/v1/chat/completions": ("type", "payload_too_large"),
    "/v1/messages": ("type", "request_too_large"),
    "/api/combos": ("code", "PAYLOAD_TOO_LARGE"),
}


async def long_body() -> AsyncIterator[bytes]:
    """A body that declares no length."""
    for _ in range(20):
        yield b" " * 10


@pytest.mark.parametrize(("path", "told"), TOO_LARGE.items(), ids=TOO_LARGE)
async def test_a_body_over_the_limit_is_refused_declared_or_not(
    site: OpenSite, path: str, told: tuple[str, str]
) -> None:
    kind, name = told
    async with site(MAX_BODY_SIZE_BYTES="100") as gateway, gateway.as_peer() as client:
        declared = await client.post(path, content=b" " * 101)
        counted = await client.post(path, content=long_body())
    for response in (declared, counted):
        assert (response.status_code, response.json()["error"][kind]) == (413, name)


async def test_an_operator_cannot_be_made_by_a_header(site: OpenSite) -> None:
    spoofed = {"x-omniroute-auth-kind": "management_key", "x-omniroute-route-class": "PUBLIC"}
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        answers = [
            await client.get("/api/keys", headers={**spoofed, name: "127.0.0.1"})
            for name in ("x-forwarded-for", "x-real-ip", "cf-connecting-ip", "forwarded")
        ]
    assert [response.status_code for response in answers] == [401] * 4


async def test_a_gateway_failure_says_nothing_about_its_cause(
    site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail in /srv/app/main.py")

    async with site() as gateway, gateway.as_peer() as client:
        monkeypatch.setattr("omniroute.pipeline.planning.plan", broken)
        chat = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
        answers = [
            await client.post("/v1/chat/completions", json=chat),
            await client.post("/v1/messages", json={**chat, "max_tokens": 5}),
            await client.post(
                "/api/routes/simulate", json={"model": "demo/echo", "promptTokenEstimate": 1}
            ),
        ]
        assert gateway.engine.ledger.open_reservations == 0
    assert [response.status_code for response in answers] == [500] * 3
    assert not any("secret" in response.text or "srv" in response.text for response in answers)
