"""Usage and the call log over HTTP: what requests left behind, and what is under way."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite, Site

from omniroute.storage.records.usage import CallRow

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
CALLS = "/api/usage/call-logs"


def asking(text: str, model: str = "demo/echo", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def test_history_says_what_was_used_by_whom_and_for_how_much(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = (await client.post("/api/keys", json={"name": "laptop"})).json()
        bearer = {"authorization": f"Bearer {key['key']}"}
        for word in ("one", "two"):
            assert (await client.post(CHAT, json=asking(word), headers=bearer)).status_code == 200
        assert (await client.post(CHAT, json=asking("x", "demo/flaky-500"))).status_code != 200
        told = (await client.get("/api/usage/history")).json()
        hour = (await client.get("/api/usage/history", params={"period": "1h"})).json()
        wrong = await client.get("/api/usage/history", params={"period": "1y"})
    assert wrong.status_code == 400
    assert {name: hour[name] for name in hour if name.startswith(("total", "by"))} == {
        name: told[name] for name in told if name.startswith(("total", "by"))
    }
    echo = told["byModel"]["echo (demo)"]
    assert (told["totalRequests"], echo["requests"]) == (3, 2)
    assert told["totalPromptTokens"] == told["byProvider"]["demo"]["promptTokens"] > 0
    assert told["totalCompletionTokens"] == echo["completionTokens"] > 0
    assert told["totalCost"] == 0
    assert (echo["provider"], echo["model"], echo["lastUsed"][-1]) == ("demo", "echo", "Z")
    account = told["byAccount"]["demo"]
    assert (account["connectionId"], account["account"]) == ("demo", "Built-in demo")
    mine, others = told["byApiKey"][key["id"]], told["byApiKey"]["anonymous"]
    assert (mine["requests"], mine["apiKeyName"]) == (2, "laptop")
    assert (others["requests"], others["apiKeyId"]) == (1, None)
    assert others["attempts"] >= 1
    assert len(told["last10Minutes"]) == 10
    assert sum(minute["requests"] for minute in told["last10Minutes"]) == 3
    assert (told["pending"], told["activeRequests"]) == ({"byModel": {}, "byAccount": {}}, [])


async def test_what_is_under_way_is_shown_until_it_ends(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        place = ("demo", "demo", "echo")
        rotation = opened.engine.live.rotation
        rotation.began(place)
        rotation.began(place)
        rotation.ended(place)
        told = (await client.get("/api/usage/history")).json()
        rotation.ended(place)
        after = (await client.get("/api/usage/history")).json()
    assert told["pending"] == {
        "byModel": {"echo (demo)": 1},
        "byAccount": {"demo": {"echo (demo)": 1}},
    }
    assert told["activeRequests"] == [
        {"model": "echo", "provider": "demo", "account": "Built-in demo", "count": 1}
    ]
    assert after["activeRequests"] == []


async def test_a_call_is_logged_with_all_that_is_known_and_nothing_else(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.post(CHAT, json=asking("log me"))
        (row,) = (await client.get(CALLS)).json()
        one = (await client.get(f"{CALLS}/{row['id']}")).json()
        missing = await client.get(f"{CALLS}/nothing")
        (same,) = (await client.get("/api/usage/request-logs", params={"format": "json"})).json()
        (line,) = (await client.get("/api/usage/logs")).json()
        lines = (await client.get("/api/usage/request-logs")).json()
    usage = answer.json()["usage"]
    volatile = {"timestamp", "duration", "tokens"}
    assert {name: value for name, value in row.items() if name not in volatile} == {
        "id": answer.headers["x-request-id"],
        "method": "POST",
        "path": CHAT,
        "status": 200,
        "model": "echo",
        "requestedModel": "demo/echo",
        "provider": "demo",
        "account": "Built-in demo",
        "connectionId": "demo",
        "cacheSource": "upstream",
        "requestType": "chat",
        "sourceFormat": "openai-chat",
        "targetFormat": "openai-chat",
        "apiKeyId": None,
        "apiKeyName": None,
        "comboName": None,
        "comboStepId": None,
        "comboExecutionKey": None,
        "error": None,
        "door": "http",
        "outcome": "completed",
        "attempts": 1,
        "cost": 0.0,
        "usageEstimated": False,
        "detailState": "none",
        "requestSummary": None,
        "hasRequestBody": False,
        "hasResponseBody": False,
        "hasPipelineDetails": False,
    }
    assert (row["tokens"]["in"], row["tokens"]["out"], row["tokens"]["compressed"]) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        None,
    )
    kept_nowhere = {
        "requestBody": None,
        "responseBody": None,
        "bodiesCut": False,
        "pipelinePayloads": None,
    }
    assert one == {**row, **kept_nowhere}
    assert same == row
    assert missing.status_code == 404
    cells = line.split(" | ")
    assert cells[1:4] == ["echo", "DEMO", "Built-in demo"]
    assert cells[4:] == [str(row["tokens"]["in"]), str(row["tokens"]["out"]), "200"]
    assert lines == [line]


async def test_what_was_refused_failed_or_kept_is_told_apart(site: OpenSite) -> None:
    kept = asking("keep", temperature=0)
    combo = {"name": "mine", "models": [{"provider": "demo", "model": "demo/echo"}]}
    async with site() as opened, opened.as_peer() as client:
        await client.post(CHAT, json=asking("x", "no-such-model"))
        await client.post(CHAT, json=asking("x", "demo/flaky-500"))
        for _ in range(2):
            await client.post(CHAT, json=kept)
        assert (await client.post("/api/combos", json=combo)).status_code in (200, 201)
        await client.post(CHAT, json=asking("through the combo", "mine"))
        rows = (await client.get(CALLS)).json()
        failed = (await client.get(CALLS, params={"status": "error"})).json()
        through = (await client.get(CALLS, params={"combo": ""})).json()
    combined, hit, miss, flaky, refused = rows
    assert (refused["outcome"], refused["status"], refused["provider"]) == ("refused", None, None)
    assert (refused["requestedModel"], refused["cacheSource"]) == ("no-such-model", None)
    assert "no-such-model" in refused["error"]
    assert (flaky["outcome"], flaky["status"], flaky["provider"]) == ("failed", 500, "demo")
    assert (hit["cacheSource"], hit["status"], hit["attempts"], hit["cost"]) == (
        "semantic",
        200,
        0,
        0,
    )
    assert hit["tokens"]["in"] == miss["tokens"]["in"]
    assert combined["comboName"] == "mine"
    assert combined["comboStepId"]
    assert combined["comboExecutionKey"]
    assert [row["id"] for row in failed] == [flaky["id"], refused["id"]]
    assert [row["id"] for row in through] == [combined["id"]]


WRONG: dict[str, dict[str, str]] = {
    "a status that is none": {"status": "fine"},
    "a status of another script": {"status": "²00"},
    "no rows at all": {"limit": "0"},
    "too many rows": {"limit": "1001"},
}


async def test_what_cannot_be_looked_for_is_refused(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        told = {
            name: (await client.get(CALLS, params=query)).status_code
            for name, query in WRONG.items()
        }
    assert told == dict.fromkeys(WRONG, 400)


async def test_a_name_from_outside_cannot_look_like_a_line(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        await _log(opened, requested_model="a | b\nc")
        (line,) = (await client.get("/api/usage/logs")).json()
    assert line == "1970-01-01T00:00:00.001Z | a / b c | - | - | 0 | 0 | refused"


async def _log(opened: Site, **more: Any) -> None:
    row = CallRow(id="x", timestamp_ms=1, door="http", success=False, outcome="refused", **more)
    async with opened.engine.database.work() as work:
        await work.calls.add([row])


async def test_telemetry_sums_up_the_newest_requests(site: OpenSite) -> None:
    path = "/api/telemetry/summary"
    async with site() as opened, opened.as_peer() as client:
        nothing = (await client.get(path)).json()
        for word in ("one", "two"):
            await client.post(CHAT, json=asking(word))
        await client.post(CHAT, json=asking("x", "demo/flaky-500"))
        await client.post(CHAT, json=asking("x", "no-such-model"))
        told = (await client.get(path)).json()
        narrow = await client.get(path, params={"windowMs": "0"})
    assert (nothing["count"], nothing["p99"], nothing["errorRate"]) == (0, 0, 0)
    assert (nothing["providers"], nothing["phaseBreakdown"]) == ({}, {})
    assert (told["count"], told["totalRequests"], told["errorRate"]) == (4, 4, 50)
    assert told["avg"] == told["avgLatencyMs"] > 0
    assert told["p50"] <= told["p95"] <= told["p99"]
    assert told["providers"]["demo"]["count"] == 2
    counts = {name: row["count"] for name, row in told["phaseBreakdown"].items()}
    assert counts == {
        "policy": 4,
        "parse": 4,
        "resolve": 3,
        "connect": 3,
        "stream": 2,
        "finalize": 4,
    }
    assert told["memoryUsage"]["rss"] > 0
    assert told["sessions"] == {"activeCount": 4, "stickyBoundCount": 0}
    assert told["quotaMonitor"] == {
        "active": 0,
        "alerting": 0,
        "exhausted": 0,
        "errors": 0,
        "statusCounts": {},
    }
    assert told["uptime"] >= 0
    assert told["activeConnections"] == 1
    assert narrow.status_code == 400


async def test_keys_that_want_no_log_leave_no_line(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        made = (await client.post("/api/keys", json={"name": "quiet", "noLog": True})).json()
        key = {"authorization": f"Bearer {made['key']}"}
        answer = await client.post(CHAT, json=asking("hush"), headers=key)
        assert answer.status_code == 200
        assert (await client.get(CALLS)).json() == []
        history = (await client.get("/api/usage/history")).json()
    assert history["totalRequests"] == 1, "it is counted all the same"


async def test_the_decision_names_tokens_and_prices(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.post(CHAT, json=asking("one two three"))
        why = (await client.get(f"/api/routes/{answer.headers['x-request-id']}")).json()
    (attempt,) = why["trace"]["attempts"]
    assert attempt["usage"]["input_tokens"] == answer.json()["usage"]["prompt_tokens"]
    assert (attempt["price"]["input"], attempt["cost_micro_usd"]) == (0, 0)
    assert "tokens in," in why["text"]
    assert "($0 and $0 per million)" in why["text"]
