"""Compression over HTTP: settings, pipelines, what combos they are for, and what was saved."""

from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite

from omniroute.storage.records.compression import CompressionRow

pytestmark = pytest.mark.anyio

SETTINGS = "/api/settings/compression"
COMBOS = "/api/context/combos"
DEFAULTS: dict[str, Any] = {
    "enabled": False,
    "defaultMode": "off",
    "autoTriggerMode": "lite",
    "autoTriggerTokens": 0,
    "cacheMinutes": 5,
    "preserveSystemPrompt": True,
    "mcpDescriptionCompressionEnabled": True,
    "comboOverrides": {},
    "compressionComboId": None,
    "stackedPipeline": [
        {"engine": "rtk", "intensity": "standard"},
        {"engine": "caveman", "intensity": "full"},
    ],
    "cavemanOutputMode": {"enabled": False, "intensity": "lite", "autoClarity": True},
    "mcpAccessibility": {
        "enabled": True,
        "maxTextChars": 50_000,
        "collapseThreshold": 30,
        "collapseKeepHead": 10,
        "collapseKeepTail": 5,
        "minLengthToProcess": 2_000,
    },
}


async def test_settings_have_defaults_and_are_merged(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        first = (await client.get(SETTINGS)).json()
        change = {"enabled": True, "cavemanConfig": {"intensity": "full"}}
        changed = (await client.put(SETTINGS, json=change)).json()
        rtk = (await client.put("/api/context/rtk/config", json={"maxLinesPerResult": 7})).json()
        now = (await client.get("/api/context/caveman/config")).json()
        all_of_them = (await client.get("/api/settings")).json()["compression"]
    assert {name: first[name] for name in DEFAULTS} == DEFAULTS
    caveman = {**first["cavemanConfig"], "intensity": "full"}
    assert changed == {**first, "enabled": True, "cavemanConfig": caveman}
    assert rtk == {**first["rtkConfig"], "maxLinesPerResult": 7}
    assert now == all_of_them == {**changed, "rtkConfig": rtk}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "an unknown mode": ({"defaultMode": "zip"}, "defaultMode"),
    "a limit": ({"mcpAccessibility": {"maxTextChars": 1}}, "mcpAccessibility.maxTextChars"),
    "a strength no engine has": (
        {"stackedPipeline": [{"engine": "lite", "intensity": "full"}]},
        "stackedPipeline.0",
    ),
    "an unknown combo": ({"comboOverrides": {"nobody": "off"}}, "comboOverrides.nobody"),
    "an unknown pipeline": ({"compressionComboId": "nobody"}, "compressionComboId"),
}


@pytest.mark.parametrize(("change", "field"), REFUSED.values(), ids=REFUSED)
async def test_what_does_not_fit_is_named(
    site: OpenSite, change: dict[str, Any], field: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        before = (await client.get(SETTINGS)).json()
        answer = await client.put(SETTINGS, json=change)
        after = (await client.get(SETTINGS)).json()
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["error"]["details"]] == [field]
    assert before == after


async def made(client: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await client.post(COMBOS, json={"name": "mine", **given})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_pipelines_are_made_changed_and_deleted(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        seeded = (await client.get(COMBOS)).json()["combos"]
        one = await made(client, id="mine", pipeline=[{"engine": "lite"}])
        twice = await client.post(COMBOS, json={"name": "other", "id": "mine"})
        changed = (await client.put(f"{COMBOS}/mine", json={"isDefault": True})).json()
        listed = (await client.get(COMBOS)).json()["combos"]
        undone = await client.put(f"{COMBOS}/mine", json={"isDefault": False})
        stays = await client.delete(f"{COMBOS}/mine")
        goes = await client.delete(f"{COMBOS}/default-caveman")
        again = await client.delete(f"{COMBOS}/default-caveman")
    (default,) = seeded
    assert (default["id"], default["isDefault"]) == ("default-caveman", True)
    assert default["pipeline"] == DEFAULTS["stackedPipeline"]
    assert one["pipeline"] == [{"engine": "lite"}]
    assert changed == {**one, "isDefault": True, "updatedAt": changed["updatedAt"]}
    assert [(row["id"], row["isDefault"]) for row in listed] == [
        ("mine", True),
        ("default-caveman", False),
    ]
    statuses = [answer.status_code for answer in (twice, undone, stays, goes, again)]
    assert statuses == [409, 400, 404, 200, 404]
    assert goes.json() == {"ok": True}


async def test_a_combo_is_moved_not_shared(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        combo = await client.post("/api/combos", json={"name": "fast", "models": ["demo/echo"]})
        ids = [combo.json()["id"]]
        first, second = await made(client), await made(client)
        for one in (first, second):
            put = await client.put(
                f"{COMBOS}/{one['id']}/assignments", json={"routingComboIds": ids}
            )
            assert [row["routingComboId"] for row in put.json()["assignments"]] == ids
        left = (await client.get(f"{COMBOS}/{first['id']}/assignments")).json()
        unknown = await client.put(
            f"{COMBOS}/{first['id']}/assignments", json={"routingComboIds": ["x"]}
        )
    assert left == {"assignments": []}
    assert unknown.json()["error"]["details"][0]["field"] == "routingComboIds.0"


async def test_what_was_saved(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        nothing = (await client.get("/api/context/analytics")).json()
        row = CompressionRow(
            timestamp_ms=opened.engine.now_ms(),
            mode="standard",
            engine="caveman",
            original_tokens=200,
            compressed_tokens=150,
            tokens_saved=50,
            duration_ms=3,
            provider="demo",
            compression_combo_id="default-caveman",
        )
        async with opened.engine.database.work() as work:
            await work.compression.add(row)
        told = (await client.get("/api/analytics/compression", params={"since": "7d"})).json()
        status = (await client.get("/api/compression/status")).json()
    assert (nothing["totalRequests"], nothing["byMode"], nothing["avgSavingsPct"]) == (0, {}, 0)
    assert len(nothing["last24h"]) == len(told["last24h"]) == 24
    saved = {"count": 1, "tokensSaved": 50, "avgSavingsPct": 25.0}
    assert (told["byMode"], told["byProvider"]) == ({"standard": saved}, {"demo": saved})
    assert told["byCompressionCombo"] == {"default-caveman": {"count": 1, "tokensSaved": 50}}
    assert sum(hour["tokensSaved"] for hour in told["last24h"]) == 50
    assert told["avgDurationMs"] == 3
    assert told["mcpDescriptionCompression"] == {"snapshots": 0, "estimatedTokensSaved": 0}
    assert status["analytics"]["avgCompressionRatio"] == 0.25
    assert status["promptCompression"]["active"] is False
