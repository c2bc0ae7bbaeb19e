"""Aliases, mappings and added models over HTTP, and what they do to the next request."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

ALIAS = "/api/models/alias"
MAPPINGS = "/api/model-combo-mappings"
ADDED = "/api/provider-models"


@pytest.fixture
async def client(site: OpenSite) -> AsyncIterator[httpx.AsyncClient]:
    """A client on this machine."""
    async with site() as opened, opened.as_peer() as made:
        yield made


async def asked(client: httpx.AsyncClient, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return await client.post("/v1/chat/completions", json=body)


async def test_an_alias_answers_from_the_next_request_on(client: httpx.AsyncClient) -> None:
    made = await client.post(ALIAS, json={"alias": " fast ", "model": "demo/echo"})
    assert made.json() == {"success": True, "alias": "fast", "model": "demo/echo"}
    assert (await asked(client, "fast")).headers["x-omniroute-model"] == "echo"
    changed = await client.put(ALIAS, json={"alias": "fast", "model": "demo/count-3"})
    assert changed.status_code == 200
    assert (await asked(client, "fast")).headers["x-omniroute-model"] == "count-3"
    assert (await client.get(ALIAS)).json() == {"aliases": {"fast": "demo/count-3"}}
    one = (await client.get(ALIAS, params={"alias": "fast"})).json()
    assert one["resolved"]["qualifiedId"] == "demo/count-3"
    assert (await client.delete(ALIAS, params={"alias": "fast"})).json() == {"success": True}
    assert (await client.get(ALIAS, params={"alias": "fast"})).status_code == 404


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a slash": ({"alias": "a/b", "model": "demo/echo"}, "'/'"),
    "auto": ({"alias": "auto", "model": "demo/echo"}, "auto routing"),
    "a combo's name": ({"alias": "team", "model": "demo/echo"}, "a combo"),
    "a combo as target": ({"alias": "x", "model": "team"}, "model-combo-mappings"),
    "nobody": ({"alias": "x", "model": "nobody/y"}, "nobody"),
    "no target": ({"alias": "x"}, "model"),
    "blank": ({"alias": "  ", "model": "demo/echo"}, "required"),
}


@pytest.mark.parametrize(("body", "told"), REFUSED.values(), ids=REFUSED)
async def test_aliases_nobody_could_use_are_refused(
    client: httpx.AsyncClient, body: dict[str, Any], told: str
) -> None:
    await client.post("/api/combos", json={"name": "team", "models": ["demo/echo"]})
    response = await client.post(ALIAS, json=body)
    assert (response.status_code, told in response.text) == (400, True), response.text


async def test_a_mapping_sends_names_to_a_combo(client: httpx.AsyncClient) -> None:
    combo = await client.post("/api/combos", json={"name": "team", "models": ["demo/echo"]})
    combo_id = combo.json()["id"]
    body = {"pattern": "gpt-9*", "comboId": combo_id, "priority": 3}
    made = await client.post(MAPPINGS, json=body)
    assert made.status_code == 201
    mapping = made.json()["mapping"]
    assert (mapping["comboName"], mapping["enabled"]) == ("team", True)
    assert (await asked(client, "GPT-9-turbo")).headers["x-omniroute-model"] == "echo"
    path = f"{MAPPINGS}/{mapping['id']}"
    changed = (await client.put(path, json={"enabled": False})).json()["mapping"]
    assert (changed["enabled"], changed["pattern"]) == (False, "gpt-9*")
    assert (await asked(client, "gpt-9-turbo")).status_code == 400
    assert (await client.get(path)).json()["mapping"] == changed
    assert (await client.get(MAPPINGS)).json() == {"mappings": [changed]}
    assert (await client.patch(path, json={"comboId": "none"})).status_code == 400
    await client.delete(f"/api/combos/{combo_id}")
    assert (await client.get(path)).status_code == 404


async def test_an_unknown_combo_or_mapping_is_named(client: httpx.AsyncClient) -> None:
    made = await client.post(MAPPINGS, json={"pattern": "x*", "comboId": "none"})
    assert (made.status_code, "comboId" in made.text or "none" in made.text) == (400, True)
    assert (await client.put(f"{MAPPINGS}/none", json={})).status_code == 404
    assert (await client.delete(f"{MAPPINGS}/none")).status_code == 404


async def test_a_model_can_be_added_by_hand(client: httpx.AsyncClient) -> None:
    body = {"provider": "demo", "modelId": "count-7", "modelName": "Seven"}
    made = (await client.post(ADDED, json=body)).json()["model"]
    assert (made["id"], made["name"], made["apiFormat"]) == ("count-7", "Seven", "chat-completions")
    ids = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
    assert "demo/count-7" in ids
    listed = (await client.get(ADDED, params={"provider": "demo"})).json()["models"]
    assert [row["id"] for row in listed] == ["count-7"]
    gone = await client.delete(ADDED, params={"provider": "demo", "model": "count-7"})
    assert gone.json() == {"removed": True, "aliasChanges": {"removed": [], "assigned": []}}
    again = await client.delete(ADDED, params={"provider": "demo", "model": "count-7"})
    assert again.status_code == 404
    assert (await client.post(ADDED, json={**body, "provider": "dmo"})).status_code == 400
