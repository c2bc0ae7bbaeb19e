"""Configuration files over HTTP."""

import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

pytestmark = pytest.mark.anyio

TEXT = '[combos.fast]\nmodels = ["openai/gpt-4o"]\n[keys.new]\nscopes = ["chat"]\n'


async def test_a_file_is_planned_applied_and_exported(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        plan = (await client.post("/api/config/plan", content=TEXT)).json()
        assert [one["name"] for one in plan["changes"]] == ["combos.fast", "keys.new"]
        assert plan["changes"][0]["line"] == 1
        assert gateway.engine.snapshot.combos == {}
        applied = (await client.post("/api/config/apply", content=TEXT)).json()
        assert applied["changes"] == plan["changes"]
        assert [one["name"] for one in applied["keys"]] == ["new"]
        assert list(gateway.engine.snapshot.combos) == ["fast"]
        exported = await client.get("/api/config/export")
        assert exported.headers["content-type"].startswith("application/toml")
        assert "[combos.fast]" in exported.text
        again = (await client.post("/api/config/plan", content=exported.text)).json()
        assert (again["changes"], again["leftAlone"]) == ([], [])
        pruned = (await client.post("/api/config/apply?prune=true", content="")).json()
        assert {one["action"] for one in pruned["changes"]} == {"delete"}


async def test_errors_are_fields_with_their_places(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        answer = await client.post("/api/config/apply?name=a.toml", content="[combos.x]\ny = 1\n")
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == [
            {"field": "combos.x.y", "message": "a.toml:2:1: combos.x.y is not known."}
        ]
        binary = await client.post("/api/config/apply", content=b"\xff")
        assert binary.status_code == 400


async def test_strangers_are_refused(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        for method, path in (("POST", "plan"), ("POST", "apply"), ("GET", "export")):
            answer = await client.request(method, f"/api/config/{path}")
            assert answer.status_code in (401, 403)
