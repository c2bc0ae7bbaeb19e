"""Retention over HTTP: what stays is a setting, what went is counted, and sums stay."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.omniroute.http.conftest import BOSS, ELSEWHERE, OpenSite

from omniroute.operations.storage.retention import RetentionKeeper
from omniroute.storage.tables import call_logs, routing_decisions, usage_history

pytestmark = pytest.mark.anyio

ASKED = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
DAY_MS = int(timedelta(days=1).total_seconds() * 1000)


async def test_settings_are_changed_one_by_one(site: OpenSite) -> None:
    path = "/api/settings/database"
    environ = {"CALL_LOG_RETENTION_DAYS": "7", "OMNIROUTE_API_KEY": BOSS}
    async with site(**environ) as opened, opened.as_peer(key=BOSS) as client:
        first = (await client.get(path)).json()
        change = {"retention": {"mcpAudit": 3, "callLogs": 1}, "autoCleanupEnabled": False}
        second = (await client.patch(path, json=change)).json()
        third = (await client.put(path, json={"retention": {"mcpAudit": None}})).json()
        refused = [
            await client.patch(path, json={"retention": {"callLog": 3}}),
            await client.patch(path, json={"retention": {"callLogs": -1}}),
            await client.patch(path, json={}),
        ]
    assert (first["autoCleanupEnabled"], first["vacuumAfterCleanup"]) == (True, False)
    assert first["retention"] == {
        "callLogs": 7,
        "callPayloads": 7,
        "routingDecisions": 7,
        "usageHistory": 7,
        "mcpAudit": 30,
        "auditLog": 90,
        "a2aEvents": 30,
        "quotaSnapshots": 90,
        "proxyLogs": 7,
        "memoryEntries": 180,
        "skillExecutions": 30,
        "runSteps": 30,
        "compressionAnalytics": 30,
        "storedResponses": 0,
        "budgetWindows": 400,
    }
    assert first["maxRows"]["callLogs"] == 100_000
    changed = {**first["retention"], "mcpAudit": 3, "callLogs": 1}
    assert second == {**first, "autoCleanupEnabled": False, "retention": changed}
    assert third["retention"] == {**changed, "mcpAudit": 30}
    assert [answer.status_code for answer in refused] == [400] * 3
    assert "Did you mean 'callLogs'" in refused[0].text


async def aged(opened: Any, days: int) -> None:
    """Let everything that was recorded so far be so many days old."""
    await opened.engine.journal.flush()
    async with opened.engine.database._writer.begin() as connection:
        for table, name in (
            (call_logs, "timestamp_ms"),
            (routing_decisions, "timestamp"),
            (usage_history, "timestamp"),
        ):
            older = table.c[name] - days * DAY_MS
            await connection.execute(update(table).values({name: older}))


async def test_records_go_and_sums_stay(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        for _ in range(3):
            await client.post("/v1/chat/completions", json=ASKED)
        await aged(opened, 400)
        await client.post("/v1/chat/completions", json=ASKED)
        await opened.engine.journal.flush()
        detailed = (await client.post("/api/settings/purge-detailed-logs")).json()
        calls = (await client.post("/api/settings/purge-call-logs")).json()
        logs = (await client.post("/api/settings/purge-logs")).json()
        quotas = (await client.post("/api/settings/purge-quota-snapshots")).json()
        rest = await RetentionKeeper(opened.engine).round()
        usage = (await client.get("/api/usage/history")).json()
        listed = (await client.get("/api/usage/call-logs")).json()
        figures = (await client.post("/api/settings/database/refresh-stats")).json()
    assert detailed == {"success": True, "deleted": 3, "counts": {"routingDecisions": 3}}
    assert calls == {"success": True, "deleted": 3, "counts": {"callLogs": 3}}
    assert (logs["deleted"], sorted(logs["counts"])) == (
        0,
        ["auditLog", "callLogs", "mcpAudit", "proxyLogs", "routingDecisions"],
    )
    assert quotas["counts"] == {"quotaSnapshots": 0}
    assert {name: count for name, count in rest.items() if count} == {"usageHistory": 3}
    assert usage["totalRequests"] == 4
    assert len(listed) == 1
    assert (figures["tables"]["usage_history"], figures["tables"]["call_logs"]) == (1, 1)


async def test_nothing_goes_by_itself_where_that_is_switched_off(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        await client.patch("/api/settings/database", json={"autoCleanupEnabled": False})
        await client.post("/v1/chat/completions", json=ASKED)
        await aged(opened, 400)
        gone = await RetentionKeeper(opened.engine).round()
        asked = (await client.post("/api/settings/purge-call-logs")).json()
    assert (sum(gone.values()), asked["deleted"]) == (0, 1)


async def test_the_room_of_what_went_is_given_back(site: OpenSite, tmp_path: Path) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        async with opened.engine.database.work() as work:
            await work.settings.set("ballast", "x" * 2_000_000, namespace="test")
        async with opened.engine.database._writer.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM key_value WHERE namespace = 'test'")
        free = (await client.get("/api/storage/health")).json()["freeBytes"]
        done = (await client.post("/api/settings/database/vacuum")).json()
        after = (await client.get("/api/storage/health")).json()
    assert free > 1_900_000
    assert done["sizeBytesBefore"] - done["sizeBytes"] > 1_900_000
    assert (after["freeBytes"], after["driver"]) == (0, "sqlite")
    assert after["dbPath"] == str(tmp_path / "omniroute.db")


async def test_health_says_what_is_wrong(site: OpenSite, tmp_path: Path) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as opened, opened.as_peer(key=BOSS) as client:
        sound = (await client.get("/api/db/health")).json()
        with closing(sqlite3.connect(tmp_path / "omniroute.db")) as file:  # checks no foreign keys
            file.execute("INSERT INTO model_combo_mappings VALUES ('m','*','gone',0,1,'','','')")
            file.commit()
        broken = (await client.get("/api/db/health")).json()
    assert (sound["status"], sound["problems"]) == ("healthy", [])
    assert broken["status"] == "damaged"
    assert broken["problems"] == [
        "1 rows of model_combo_mappings point to combos that do not exist."
    ]


async def test_strangers_may_not(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer(ELSEWHERE) as client:
        answers = [
            await client.get("/api/settings/database"),
            await client.post("/api/settings/database/vacuum"),
            await client.post("/api/settings/purge-logs"),
            await client.get("/api/storage/health"),
            await client.get("/api/db/health"),
        ]
    assert {answer.status_code for answer in answers} == {401}
