"""Tool skills over HTTP: installed, changed, executed, deleted."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

PATH = "/api/skills"
MANIFEST: dict[str, Any] = {
    "name": "note",
    "handlerCode": "file_write",
    "description": "Writes a note",
    "schema": {"input": {"type": "object", "required": ["path"]}},
}


async def test_a_skill_is_installed_executed_changed_and_deleted(site: OpenSite) -> None:
    run = {"skillName": "note", "apiKeyId": "k", "input": {"path": "a", "content": "b"}}
    async with site() as opened, opened.as_peer() as client:
        off = await client.post(f"{PATH}/executions", json=run)
        await client.put("/api/settings/memory", json={"skillsEnabled": True})
        installed = (await client.post(f"{PATH}/install", json=MANIFEST)).json()
        place = f"{PATH}/{installed['id']}"
        again = await client.post(f"{PATH}/install", json=MANIFEST)
        one = (await client.get(place)).json()["skill"]
        ran = (await client.post(f"{PATH}/executions", json=run)).json()["execution"]
        listed = (await client.get(f"{PATH}/executions", params={"apiKeyId": "k"})).json()
        changed = (await client.put(place, json={"enabled": False, "tags": ["x"]})).json()
        refused = await client.post(f"{PATH}/executions", json=run)
        auto = (await client.put(place, json={"mode": "auto"})).json()
        audit = (
            await client.get("/api/compliance/audit-log", params={"resource_type": "skill"})
        ).json()
        gone = [(await client.delete(place)).json(), (await client.delete(place)).status_code]
        left = (await client.get(f"{PATH}/executions")).json()["total"]
    assert (off.status_code, again.status_code, refused.status_code) == (503, 409, 409)
    assert (one["apiKeyId"], one["version"], one["mode"]) == ("system", "1.0.0", "on")
    assert (one["handler"], one["schema"]["output"], one["enabled"]) == ("file_write", {}, True)
    assert (ran["status"], ran["output"]) == ("success", {"path": "a", "bytes": 1})
    assert (ran["input"], ran["errorMessage"]) == (run["input"], None)
    assert (listed["data"], listed["total"], listed["totalPages"]) == ([ran], 1, 1)
    assert (changed["enabled"], changed["mode"], changed["skill"]["tags"]) == (False, "off", ["x"])
    assert (auto["enabled"], auto["mode"]) == (True, "auto")
    assert [entry["action"] for entry in audit] == [
        "skill.updated",
        "skill.updated",
        "skill.installed",
    ]
    assert gone == [{"success": True}, 404]
    assert left == 0


PAGES: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "all": ({}, ["file_read", "file_write", "http_request", "note", "web_search"], 5),
    "a page": ({"page": 2, "limit": 3}, ["note", "web_search"], 5),
    "by text": ({"q": "A NOTE"}, ["note"], 1),
    "by tag": ({"q": "web"}, ["http_request", "web_search"], 2),
    "by mode": ({"mode": "on"}, ["note"], 1),
    "by source": ({"source": "skillsmp"}, [], 0),
}


@pytest.mark.parametrize(("query", "names", "total"), PAGES.values(), ids=PAGES)
async def test_pages(site: OpenSite, query: dict[str, Any], names: list[str], total: int) -> None:
    async with site() as opened, opened.as_peer() as client:
        await client.post(f"{PATH}/install", json=MANIFEST)
        found = (await client.get(PATH, params=query)).json()
    assert [one["name"] for one in found["data"]] == names
    assert (found["total"], found["skills"]) == (total, found["data"])
    assert (found["provider"], found["popularDefaults"]) == (None, [])


REFUSED: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "a version that is none": ("POST", "install", {**MANIFEST, "version": "1"}, 400, "version"),
    "a name that looks like two": ("POST", "install", {**MANIFEST, "name": "a@b"}, 400, "name"),
    "no schema": (
        "POST",
        "install",
        {**MANIFEST, "schema": {"input": {"type": "objec"}}},
        400,
        "schema.input",
    ),
    "a schema elsewhere": (
        "POST",
        "install",
        {**MANIFEST, "schema": {"output": {"$ref": "http://127.0.0.1:9/x"}}},
        400,
        "schema.output",
    ),
    "nothing to change": ("PUT", "builtin-file_read", {}, 400, "at least one"),
    "a contradiction": (
        "PUT",
        "builtin-file_read",
        {"mode": "off", "enabled": True},
        400,
        "mode",
    ),
    "another tool behind a built-in": (
        "PUT",
        "builtin-file_read",
        {"handler": "file_write"},
        409,
        "built in",
    ),
    "deleting a built-in": ("DELETE", "builtin-file_read", {}, 409, "switch it off"),
}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"), REFUSED.values(), ids=REFUSED
)
async def test_what_makes_no_sense_is_refused(
    site: OpenSite, method: str, path: str, body: dict[str, Any], status: int, told: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.request(method, f"{PATH}/{path}", json=body)
        count = (await client.get(PATH)).json()["total"]
    assert (answer.status_code, told in answer.text, count) == (status, True, 4)


async def test_what_is_switched_stays_so_after_a_restart(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await client.put(f"{PATH}/builtin-http_request", json={"enabled": False})
    async with site() as opened, opened.as_peer() as client:
        found = (await client.get(PATH, params={"mode": "off"})).json()
    assert [one["name"] for one in found["data"]] == ["http_request"]
