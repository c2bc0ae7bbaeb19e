"""Both cards at both bases: caching, contents, and how the SDK reads them."""

from typing import Any

import httpx
import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.compat.v0_3 import types as v03
from a2a.types import AgentCard
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from jwt import PyJWK

pytestmark = pytest.mark.anyio

NAMES = ("agent-card.json", "agent.json")
PATHS = [  # at the root, and below what some clients take for the base URL
    f"{base}/.well-known/{name}" for base in ("", "/a2a") for name in NAMES
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_card_is_cached_by_its_tag(world: Any, path: str) -> None:
    world.key_required, world.enabled = True, False  # neither hides a card
    first = await world.http.get(path)
    tag = first.headers["etag"]
    assert (first.status_code, first.headers["cache-control"]) == (200, "public, max-age=3600")
    assert tag.startswith('W/"')
    for header in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        again = await world.http.get(path, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await world.http.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def card(world: Any, name: str) -> Any:
    first: httpx.Response = await world.http.get(f"/.well-known/{name}")
    assert (await world.http.get(f"/a2a/.well-known/{name}")).content == first.content
    return first.json()


async def test_the_current_card(world: Any) -> None:
    found = await card(world, "agent-card.json")
    assert found["capabilities"] == {
        "streaming": True,
        "pushNotifications": True,
        "extendedAgentCard": True,
    }
    assert [tuple(entry.values()) for entry in found["supportedInterfaces"]] == [
        ("http://gateway.test/a2a", "JSONRPC", "1.0"),
        ("http://gateway.test/a2a", "JSONRPC", "0.3"),
        ("http://gateway.test/a2a/v1", "HTTP+JSON", "1.0"),
    ]
    assert found["skills"][0] == {
        "id": "smart-routing",
        "name": "Smart-Routing",
        "description": "About smart-routing.",
        "tags": ["a"],
        "examples": ["Do it."],
        "inputModes": ["text/plain", "application/json"],
        "outputModes": ["text/plain", "application/json"],
    }
    assert found["provider"] == {"organization": "OmniRoute", "url": "http://gateway.test"}
    assert found["documentationUrl"] == "http://gateway.test/docs"
    modes = ["text/plain", "application/json"]
    assert found["defaultInputModes"] == found["defaultOutputModes"] == modes
    assert {"securitySchemes", "securityRequirements", "security"}.isdisjoint(found)
    assert (found["version"], found["protocolVersion"], found["preferredTransport"]) == (
        "3.8.1",
        "0.3",
        "JSONRPC",
    )


async def test_a_required_key_is_declared_in_the_form_of_each_card(world: Any) -> None:
    world.key_required = True
    current, legacy = await card(world, "agent-card.json"), await card(world, "agent.json")
    assert current["securitySchemes"] == {
        "bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}
    }
    assert current["securityRequirements"] == [{"schemes": {"bearer": {"list": []}}}]
    assert current["security"] == legacy["security"] == [{"bearer": []}]
    assert legacy["securitySchemes"] == {"bearer": {"type": "http", "scheme": "Bearer"}}


async def test_the_sdk_reads_both_generations(world: Any) -> None:
    world.key_required = True
    current, legacy = await card(world, "agent-card.json"), await card(world, "agent.json")
    for body in (current, legacy):
        old = v03.AgentCard.model_validate(body)
        assert (old.url, old.protocol_version) == ("http://gateway.test/a2a", "0.3")
    parsed = parse_agent_card(current)
    assert [entry.protocol_version for entry in parsed.supported_interfaces] == [
        "1.0",
        "0.3",
        "1.0",
    ]
    assert parsed.security_schemes["bearer"].http_auth_security_scheme.scheme == "Bearer"


async def test_the_legacy_card_keeps_the_seed_members(world: Any) -> None:
    found = await card(world, "agent.json")
    assert found["authentication"] == {"schemes": ["api-key"], "apiKeyHeader": "Authorization"}
    assert found["capabilities"] == {"streaming": True, "pushNotifications": True}
    assert found["url"] == "http://gateway.test/a2a"


@pytest.mark.parametrize("method", ["GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"])
async def test_the_extended_card_needs_a_key_even_on_an_open_gateway(
    world: Any, method: str
) -> None:
    refused = await world.rpc(method)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    granted = await world.result(method, key="key-a")
    assert granted["capabilities"]["extensions"][0]["params"] == {"allowedModels": ["gpt"]}


async def key_of(world: Any, key_id: str | None, address: str | None) -> PyJWK:
    """The key a signature names, from where it says."""
    assert address == "http://gateway.test/.well-known/jwks.json"
    (key,) = (await world.http.get(address)).json()["keys"]
    assert (key["kid"], "d" in key) == (key_id, False)
    return PyJWK(key)


async def verify(world: Any, parsed: AgentCard) -> None:
    """Check a card with the SDK's verifier."""
    named: list[tuple[str | None, str | None]] = []

    def note(key_id: str | None, address: str | None) -> PyJWK:
        named.append((key_id, address))
        return key

    key = PyJWK((await world.http.get("/.well-known/jwks.json")).json()["keys"][0])
    create_signature_verifier(note, ["ES256"])(parsed)
    await key_of(world, *named[0])


@pytest.mark.parametrize("key_required", [False, True])
async def test_the_card_is_signed_as_the_sdk_checks_it(world: Any, key_required: bool) -> None:
    world.key_required = key_required
    parsed = parse_agent_card(await card(world, "agent-card.json"))
    await verify(world, parsed)
    parsed.name = "Somebody else"
    with pytest.raises(InvalidSignaturesError):
        await verify(world, parsed)


async def test_the_extended_card_has_a_signature_of_its_own(world: Any) -> None:
    granted = await world.result("GetExtendedAgentCard", key="key-a")
    await verify(world, ParseDict(granted, AgentCard()))
