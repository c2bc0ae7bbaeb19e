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
    listed = await client.get(ALIAS)
    version = listed.headers["x-model-catalog-version"]
    assert listed.json() == {
        "aliases": {"fast": "demo/count-3"},
        "total": 1,
        "catalogVersion": version,
    }
    one = await client.get(ALIAS, params={"alias": "fast"})
    assert one.headers["x-model-alias-resolved"] == "demo/count-3"
    assert one.headers["x-request-id"]
    assert one.json() == {
        "alias": "fast",
        "catalogVersion": version,
        "resolved": {
            "provider": "demo",
            "providerAlias": "demo",
            "model": "count-3",
            "qualifiedId": "demo/count-3",
            "target": "demo/count-3",
            "source": "stored_alias",
            "metadata": {"contextLength": None, "custom": False, "active": True},
        },
    }
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
    assert (await client.get(MAPPINGS)).json() == {"mappings": [changed], "total": 1}
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


async def test_aliases_that_lead_nowhere_say_so_with_a_code(client: httpx.AsyncClient) -> None:
    for provider in ("groq", "cerebras"):
        options = {"models": ["both"]}
        body = {"provider": provider, "name": "a", "apiKey": "k", "providerSpecificData": options}
        assert (await client.post("/api/providers", json=body)).status_code == 201
    await client.post(ALIAS, json={"alias": "two", "model": "both"})
    found = {}
    for alias in ("", "nobody", "two"):
        answer = await client.get(ALIAS, params={"alias": alias})
        error = answer.json()["error"]
        found[alias] = (answer.status_code, error["code"], error.get("candidates"))
    assert found == {
        "": (400, "MODEL_NOT_MAPPED", None),
        "nobody": (404, "MODEL_NOT_MAPPED", None),
        "two": (409, "MODEL_ALIAS_AMBIGUOUS", ["cerebras/both", "groq/both"]),
    }
    assert (await client.delete(ALIAS)).status_code == 400
    page = (await client.get(ALIAS, params={"limit": 1, "offset": 1})).json()
    assert (page["aliases"], page["total"]) == ({}, 1)
    assert (await client.get(ALIAS, params={"limit": 0})).status_code == 400


async def test_the_catalogue_lists_everybody(client: httpx.AsyncClient) -> None:
    body = {"provider": "groq", "modelId": "ears", "apiFormat": "audio-transcriptions"}
    assert (await client.post(ADDED, json=body)).status_code == 200
    answer = await client.get("/api/models/catalog")
    found = answer.json()
    assert answer.headers["x-model-catalog-version"] == found["catalogVersion"]
    groq = found["catalog"]["groq"]
    assert (groq["provider"], groq["active"]) == ("Groq", False)
    assert next(row for row in groq["models"] if row["id"] == "ears") == {
        "id": "ears",
        "name": "ears",
        "type": "audio",
        "custom": True,
        "capabilities": ["audio"],
        "context_length": None,
        "max_output_tokens": None,
        "input_modalities": ["audio", "text"],
        "output_modalities": ["audio", "text"],
        "supported_endpoints": ["audio"],
    }
    some = (await client.get("/api/models")).json()["models"]
    assert {row["provider"] for row in some} == {"demo"}
    assert all(row["available"] for row in some)
    every = (await client.get("/api/models", params={"all": "true"})).json()["models"]
    assert {"groq", "openai", "demo"} <= {row["provider"] for row in every}


async def test_hidden_models_are_not_listed_and_their_aliases_go(client: httpx.AsyncClient) -> None:
    await client.post(ALIAS, json={"alias": "fast", "model": "demo/echo"})
    await client.post(ALIAS, json={"alias": "other", "model": "demo/tools"})
    hide = {"isHidden": True, "modelIds": ["echo"]}
    hidden = (await client.patch(ADDED, params={"provider": "demo"}, json=hide)).json()
    assert (hidden["ok"], hidden["updated"]) == (True, 1)
    assert hidden["aliasChanges"] == {"removed": ["fast"], "assigned": []}
    assert [row["id"] for row in hidden["modelCompatOverrides"]] == ["echo"]
    listed = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
    assert ("demo/echo" in listed, "demo/tools" in listed) == (False, True)
    assert (await asked(client, "demo/echo")).status_code == 200
    models = "/api/providers/demo/models"
    for params, there in (({}, True), ({"excludeHidden": "true"}, False)):
        rows = (await client.get(models, params=params)).json()["models"]
        assert ("echo" in [row["id"] for row in rows]) is there
    show = {"isHidden": False}
    query = {"provider": "demo", "modelId": "echo"}
    shown = (await client.patch(ADDED, params=query, json=show)).json()
    assert shown["aliasChanges"] == {"removed": [], "assigned": ["fast"]}
    assert shown["modelCompatOverrides"] == []
    assert (await asked(client, "fast")).status_code == 200
    for params, body in (({}, hide), ({"provider": "demo"}, show), (query, {})):
        wrong = await client.patch(ADDED, params=params, json=body)
        assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "validation_error")


async def test_models_are_changed_in_part_and_cleared(client: httpx.AsyncClient) -> None:
    body = {"provider": "demo", "modelId": "count-7", "modelName": "Seven"}
    await client.post(ADDED, json=body)
    compat = {"normalizeToolCallId": True, "upstreamHeaders": {"X-Team": "a"}}
    changed = await client.put(ADDED, json={"provider": "demo", "modelId": "count-7", **compat})
    model = changed.json()["model"]
    assert (model["name"], model["normalizeToolCallId"]) == ("Seven", True)
    assert model["upstreamHeaders"] == {"X-Team": "a"}
    cleared = await client.put(
        ADDED, json={"provider": "demo", "modelId": "count-7", "upstreamHeaders": None}
    )
    assert "upstreamHeaders" not in cleared.json()["model"]
    other = {"provider": "demo", "modelId": "echo", "preserveOpenAIDeveloperRole": True}
    stored = (await client.put(ADDED, json=other)).json()
    assert stored["ok"] is True
    assert {
        "provider": "demo",
        "id": "echo",
        "preserveOpenAIDeveloperRole": True,
    } in stored["modelCompatOverrides"]
    lost = await client.put(ADDED, json={**other, "modelName": "Echo"})
    assert lost.status_code == 404
    gone = (await client.delete(ADDED, params={"provider": "demo", "all": "true"})).json()
    assert (gone["cleared"], gone["syncedAvailableModelListsRemoved"]) == (True, 0)
    assert (await client.get(ADDED)).json()["models"] == {}


WRONG_MODELS: dict[str, dict[str, Any]] = {
    "no id": {"provider": "demo"},
    "a blank id": {"provider": "demo", "modelId": " "},
    "a long id": {"provider": "demo", "modelId": "x" * 241},
    "a format": {"provider": "demo", "modelId": "x", "apiFormat": "smoke"},
    "an endpoint": {"provider": "demo", "modelId": "x", "supportedEndpoints": ["smoke"]},
    "a header's name": {"provider": "demo", "modelId": "x", "upstreamHeaders": {"a b": "c"}},
    "a header of ours": {"provider": "demo", "modelId": "x", "upstreamHeaders": {"Host": "c"}},
    "two lines": {"provider": "demo", "modelId": "x", "upstreamHeaders": {"a": "b\nc"}},
    "many headers": {
        "provider": "demo",
        "modelId": "x",
        "upstreamHeaders": {f"h{i}": "v" for i in range(17)},
    },
    "a protocol": {"provider": "demo", "modelId": "x", "compatByProtocol": {"smoke": {}}},
    "a protocol's member": {
        "provider": "demo",
        "modelId": "x",
        "compatByProtocol": {"claude": {"isHidden": True}},
    },
}


async def test_models_nobody_could_add_are_refused(client: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT"):
        for name, body in WRONG_MODELS.items():
            answer = await client.request(method, ADDED, json=body)
            assert (method, name, answer.status_code) == (method, name, 400), answer.text
    assert (await client.post(ADDED, content=b"{")).status_code == 400
    assert (await client.delete(ADDED, params={"provider": "demo"})).status_code == 400
