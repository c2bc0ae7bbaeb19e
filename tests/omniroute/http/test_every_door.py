"""What a key, a session, a run and a task may do holds at every door: HTTP, MCP and A2A."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import OpenSite
from tests.omniroute.http.test_keys import ASKED, CLOSED, DIALECTS, bearer, made
from tests.omniroute_mcp.wire import ACCEPT, STREAM
from tests.omniroute_mcp.wire import call as called
from tests.omniroute_mcp.wire import opened as mcp_session

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ROUTE = "omniroute_route_request"
TOLD = "It belongs to "


@asynccontextmanager
async def priced(site: OpenSite) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose demo costs a dollar a token."""
    async with site() as opened, opened.as_peer() as client:
        price = {"input": 1_000_000, "output": 1_000_000}
        stated = await client.patch("/api/pricing", json={"demo": {"echo": price}})
        assert stated.status_code == 200
        yield client


async def limit(client: httpx.AsyncClient, scope: str, name: str, usd: float = 0.000001) -> None:
    body = {"scope": scope, "scopeId": name, "totalLimitUsd": usd}
    response = await client.post("/api/usage/budget/scopes", json=body)
    assert response.status_code == 200, response.text


async def by_a2a(client: httpx.AsyncClient, context: str, **headers: str) -> dict[str, Any]:
    """The task that one message becomes."""
    message = {
        "messageId": f"m-{context}",
        "contextId": context,
        "role": "ROLE_USER",
        "parts": [{"text": "hi"}],
        "metadata": {"skill": "smart-routing", "model": "demo/echo"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    answer = await client.post("/a2a", json=body, headers={"a2a-version": "1.0", **headers})
    assert "result" in answer.json(), answer.text
    task: dict[str, Any] = answer.json()["result"]["task"]
    return task


def said(task: dict[str, Any]) -> str:
    parts = (task["status"].get("message") or task["artifacts"][0])["parts"]
    return str(parts[0]["text"])


async def by_mcp_session(
    client: httpx.AsyncClient, session: str, headers: dict[str, str]
) -> dict[str, Any]:
    """The result of a call in a session of the handshake era."""
    params = {"name": ROUTE, "arguments": ASKED}
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
    sent = {**ACCEPT, **headers, "mcp-session-id": session}
    response = await client.post(STREAM, json=body, headers=sent)
    text = response.text
    if "event-stream" in response.headers["content-type"]:
        events = [line[5:] for line in text.splitlines() if line[5:].strip().startswith("{")]
        text = next(
            event for event in events if '"result"' in event
        )  # a log message may come first
    result: dict[str, Any] = json.loads(text)["result"]
    return result


def text_of(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


async def test_a_rule_counts_requests_of_all_doors_together(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, scopes=["mcp"], maxRequestsPerDay=3)
        auth = bearer(key)
        assert (await client.post(CHAT, json=ASKED, headers=auth)).status_code == 200
        assert not (await called(client, ROUTE, ASKED, headers=auth)).get("isError")
        assert (await by_a2a(client, "c", **auth))["status"]["state"] == "TASK_STATE_COMPLETED"
        http = await client.post(CHAT, json=ASKED, headers=auth)
        mcp = await called(client, ROUTE, ASKED, headers=auth)
        a2a = await by_a2a(client, "c2", **auth)
    assert (http.status_code, mcp["isError"]) == (429, True)
    assert "may ask 3 times a day" in text_of(mcp)
    assert (a2a["status"]["state"], "may ask 3 times a day" in said(a2a)) == (
        "TASK_STATE_FAILED",
        True,
    )


POLICIES: dict[str, dict[str, Any]] = {
    "hours": {"accessSchedule": CLOSED},
    "addresses": {"ipAllowlist": ["10.0.0.0/8"]},
    "banned": {"isBanned": True},
}


async def test_a_key_that_does_not_count_opens_no_door(site: OpenSite) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with site() as opened, opened.as_peer() as client:
        for name, policy in POLICIES.items():
            auth = bearer(await made(client, scopes=["mcp", "manage"], **policy))
            mcp = await client.post(STREAM, json=body, headers={**ACCEPT, **auth})
            statuses = {
                "http": (await client.post(CHAT, json=ASKED, headers=auth)).status_code,
                "models": (await client.get("/v1/models", headers=auth)).status_code,
                "manage": (await client.get("/api/keys", headers=auth)).status_code,
                "a2a": (await client.post("/a2a", json=body, headers=auth)).status_code,
            }
            assert statuses == dict.fromkeys(statuses, 403), name
            # An MCP client hears that its token does not count, as that protocol says it.
            assert mcp.status_code == 401, name


async def test_a_session_limit_counts_conversations_of_every_door(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        key = await made(client, scopes=["mcp"], maxSessions=2)
        auth = bearer(key)
        session = await mcp_session(client, **auth)
        assert not (await by_mcp_session(client, session, auth)).get("isError")
        assert (await by_a2a(client, "c", **auth))["status"]["state"] == "TASK_STATE_COMPLETED"
        http = await client.post(CHAT, json=ASKED, headers={**auth, "x-session-id": "third"})
        again = await by_mcp_session(client, session, auth)
        shown = (await client.get("/api/sessions")).json()
    assert (http.status_code, again.get("isError", False)) == (429, False)
    assert {row["sessionId"] for row in shown["sessions"]} == {session, "c"}
    assert shown["byApiKey"] == {key["id"]: 2}


async def test_a_session_budget_holds_in_every_dialect(site: OpenSite) -> None:
    async with priced(site) as client:
        await limit(client, "session", "chat-42")
        for path, body in DIALECTS.values():
            refused = await client.post(path, json=body, headers={"x-session-id": "chat-42"})
            assert refused.status_code == 429, path
            assert "session 'chat-42' is used up" in refused.text
            other = await client.post(path, json=body, headers={"x-session-id": "chat-43"})
            assert other.status_code == 200, path


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUNS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "by name": ({"x-omniroute-run-id": "nightly"}, {"omniroute/runId": "nightly"}, "nightly"),
    "by trace": (
        {"traceparent": TRACE},
        {"traceparent": TRACE},
        "0af7651916cd43dd8448eb211c80319c",
    ),
}


async def test_a_run_budget_holds_over_http_and_mcp(site: OpenSite) -> None:
    async with priced(site) as client:
        for headers, meta, run in RUNS.values():
            await limit(client, "run", run)
            http = await client.post(CHAT, json=ASKED, headers=headers)
            mcp = await called(client, ROUTE, ASKED, meta=meta)
            assert (http.status_code, http.json()["error"]["scope"]) == (429, "run")
            assert (mcp["isError"], f"run '{run}' is used up" in text_of(mcp)) == (True, True)
        free = await called(client, ROUTE, ASKED)
    assert not free.get("isError")


async def test_an_mcp_session_has_a_budget(site: OpenSite) -> None:
    async with priced(site) as client:
        mine, other = await mcp_session(client), await mcp_session(client)
        await limit(client, "session", mine)
        refused = await by_mcp_session(client, mine, {})
        allowed = await by_mcp_session(client, other, {})
    assert (refused["isError"], f"session '{mine}'" in text_of(refused)) == (True, True)
    assert not allowed.get("isError")


async def test_an_a2a_context_is_a_run_and_a_session(site: OpenSite) -> None:
    async with priced(site) as client:
        await limit(client, "run", "c-run")
        await limit(client, "session", "c-session")
        await limit(client, "run", "named")
        run = await by_a2a(client, "c-run")
        session = await by_a2a(client, "c-session")
        named = await by_a2a(client, "c-free", **{"x-omniroute-run-id": "named"})
        free = await by_a2a(client, "c-free")
        request_id = free["artifacts"][0]["metadata"]["request_id"]
        told = (await client.get(f"/api/routes/{request_id}")).json()["text"]
    assert "run 'c-run' is used up" in said(run)
    assert "session 'c-session' is used up" in said(session)
    assert "run 'named' is used up" in said(named)
    assert free["status"]["state"] == "TASK_STATE_COMPLETED"
    assert f"It belongs to session c-free, run c-free, task {free['id']}." in told


async def test_a_budget_that_is_used_up_is_told_before_a_rate(site: OpenSite) -> None:
    async with priced(site) as client:
        key = await made(client, maxRequestsPerDay=1)
        await limit(client, "key", key["id"], 1)
        answers = [
            await client.post(CHAT, json=ASKED, headers=bearer(key)) for _ in range(2)
        ]  # refused for money: not counted
        await limit(client, "key", key["id"], 10_000)
        answers += [await client.post(CHAT, json=ASKED, headers=bearer(key)) for _ in range(2)]
        await limit(client, "key", key["id"], 1)
        answers += [await client.post(CHAT, json=ASKED, headers=bearer(key))]
    codes = [answer.json().get("error", {}).get("code") for answer in answers]
    assert codes == [
        "budget_exceeded",
        "budget_exceeded",
        None,
        "rate_limit_exceeded",
        "budget_exceeded",
    ]


async def test_answers_tell_what_is_left_of_the_tightest_budget(site: OpenSite) -> None:
    names = ("remaining", "limit", "reset")

    def told(answer: httpx.Response) -> list[str | None]:
        assert answer.status_code == 200, answer.text
        return [answer.headers.get(f"x-omniroute-budget-{name}") for name in names]

    async with priced(site) as client:
        key = await made(client)
        auth = bearer(key)
        assert told(await client.post(CHAT, json=ASKED, headers=auth)) == [None] * 3
        await client.post(
            "/api/usage/budget", json={"apiKeyId": key["id"], "monthlyLimitUsd": 1_000_000}
        )
        asked = {**ASKED, "temperature": 0.5}
        first = await client.post(CHAT, json=asked, headers=auth)
        cost = float(first.headers["x-omniroute-response-cost"])
        remaining, limit_usd, reset = told(first)
        assert (limit_usd, float(reset or 0) > 0) == ("1000000.000000", True)
        # What the key had spent before it had a budget counts, too.
        assert float(remaining or 0) == pytest.approx(1_000_000 - 2 * cost)
        streamed = await client.post(CHAT, json={**asked, "stream": True}, headers=auth)
        assert told(streamed)[:2] == [remaining, limit_usd]
        await limit(client, "session", "s", 5_000)
        tightest = await client.post(CHAT, json=asked, headers={**auth, "x-session-id": "s"})
        assert told(tightest) == [f"{5_000 - cost:.6f}", "5000.000000", None]
