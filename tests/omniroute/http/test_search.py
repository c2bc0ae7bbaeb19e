"""Web search over HTTP: who is asked, what it costs, what is kept, and what is said otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import BOSS, OpenSite, Site

pytestmark = pytest.mark.anyio

PATH = "/v1/search"
ROW = {
    "title": "Async",
    "url": "https://www.a.io/x?y=1",
    "content": "It waits.",
    "link": "https://a.io",
}


@dataclass
class Engines:
    """Search services on one real socket, by the first part of the path: what each answers (a
    status and a body), and what they were asked."""

    port: int = 0
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def base(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@asynccontextmanager
async def engines(**answers: tuple[int, Any]) -> AsyncIterator[Engines]:
    made = Engines(answers=answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
        await reader.readexactly(int(size or 0))
        name = head.split(" ")[1].split("/")[1]
        made.asked.append(name)
        made.heads.append(head)
        status, told = made.answers[name]
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        more = f"content-length: {len(body)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {status} Told\r\n{more}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


GOOD = (200, {"results": [ROW], "organic": [ROW], "web": {"results": [ROW]}})
SEARCHES = {"ALLOW_PRIVATE_PROVIDER_URLS": "true", "OMNIROUTE_API_KEY": BOSS}


async def account(
    client: httpx.AsyncClient, provider: str, base: str, **more: Any
) -> httpx.Response:
    """An account of a search provider at an address."""
    data = {"baseUrl": base, **more.pop("data", {})}
    new = {"provider": provider, "name": provider, "apiKey": "secret-key", **more}
    return await client.post("/api/providers", json={**new, "providerSpecificData": data})


async def search(client: httpx.AsyncClient, query: str = "rust async", **more: Any) -> Any:
    return await client.post(PATH, json={"query": query, **more})


async def test_nothing_configured_says_what_to_configure(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await search(client)
        listed = (await client.get(PATH)).json()
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert "omniroute providers add" in error["message"]
    assert listed["object"] == "list"
    rows = {row["id"]: row for row in listed["data"]}
    assert rows["brave-search"]["search_types"] == ["web", "news"]
    assert [name for name, row in rows.items() if row["configured"]] == ["demo-search"]


async def test_a_search_is_answered_and_written_down(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        made = await account(client, "exa-search", world.base("exa"))
        assert made.status_code == 201, made.text
        answer = await search(client, "  Rust   async ", max_results="3")
        logged = (await client.get("/api/usage/call-logs")).json()
    told = answer.json()
    assert answer.status_code == 200, told
    assert "x-api-key: secret-key" in world.heads[0].lower()
    assert told["id"] == f"search-{answer.headers['x-request-id']}"
    (result,) = told.pop("results")
    assert told["provider"] == "exa-search"
    assert (told["query"], told["cached"], told["answer"]) == ("Rust async", False, None)
    assert told["usage"] == {"queries_used": 1, "search_cost_usd": 0.007}
    assert result["display_url"] == "a.io/x"
    assert result["position"] == 1
    assert result["citation"]["rank"] == 1
    (line,) = [row for row in logged if row["model"] == "search"]
    assert (line["provider"], line["status"]) == ("exa-search", 200)


async def test_the_next_account_is_asked_when_one_fails(site: OpenSite) -> None:
    async with (
        engines(serper=(500, {"error": "down"}), exa=GOOD) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"))
        await account(client, "serper-search", world.base("serper"))
        told = (await search(client)).json()
    assert world.asked == ["serper", "exa"]  # the cheaper one first
    assert told["provider"] == "exa-search"
    assert told["errors"] == ["serper-search (serper-search): down (status 500)"]


async def test_a_better_priority_comes_before_a_better_price(site: OpenSite) -> None:
    async with (
        engines(serper=GOOD, exa=GOOD) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"), priority=1)
        await account(client, "serper-search", world.base("serper"), priority=2)
        told = (await search(client)).json()
    assert told["provider"] == "exa-search"


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "an unknown provider": ({"provider": "brve-search"}, 400, "Did you mean 'brave-search'?"),
    "one that is not configured": ({"provider": "brave"}, 400, "No account of brave-search"),
    "one without news": (
        {"provider": "linkup-search", "search_type": "news"},
        400,
        "linkup-search has no news search",
    ),
    "an empty query": ({"query": "   "}, 400, "query"),
    "control characters": ({"query": "a\u0007b"}, 400, "control characters"),
    "a long query": ({"query": "x" * 501}, 400, "500"),
    "too many results": ({"max_results": 101}, 400, "max_results"),
    "an unknown kind": ({"search_type": "images"}, 400, "'web'"),
    "an address for the key": (
        {"provider": "exa", "provider_options": {"baseUrl": "https://evil.test"}},
        400,
        "takes no option 'baseUrl'",
    ),
    "a filter it cannot keep to": (
        {"provider": "exa", "language": "de", "strict_filters": True},
        400,
        "cannot keep to language",
    ),
}


@pytest.mark.parametrize(("asked", "status", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_makes_no_sense_is_refused(
    site: OpenSite, asked: dict[str, Any], status: int, told: str
) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        answer = await search(client, **{"query": "x", **asked})
    assert (answer.status_code, world.asked) == (status, [])
    assert told in answer.json()["error"]["message"]


FAILURES: dict[str, tuple[tuple[int, Any], int, str]] = {
    "a refused key": ((401, {"error": "bad key"}), 401, "bad key (status 401)"),
    "too often": ((429, {"error": {"message": "slow down"}}), 429, "slow down"),
    "broken": ((500, b"<html>"), 500, "status 500"),
    "something else": ((200, b"<html>"), 502, "the answer is not JSON"),
    "a redirect": ((302, b""), 502, "status 502"),
}


@pytest.mark.parametrize(("given", "status", "told"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_says_who_and_why(
    site: OpenSite, given: tuple[int, Any], status: int, told: str
) -> None:
    async with engines(exa=given) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        answer = await search(client)
    message = answer.json()["error"]["message"]
    assert answer.status_code == status, message
    assert message.startswith("exa-search (exa-search): ")
    assert told in message


async def test_a_refused_key_is_not_hidden_by_the_next_account(site: OpenSite) -> None:
    async with (
        engines(serper=(401, {"error": "bad key"}), exa=GOOD) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"))
        await account(client, "serper-search", world.base("serper"))
        first, second = await search(client), await search(client)
    assert (first.status_code, second.status_code) == (401, 200)
    assert world.asked == ["serper", "exa"]  # it rests from then on


async def test_all_failed_says_which_and_why(site: OpenSite) -> None:
    down = (503, {"error": "down"})
    async with (
        engines(serper=down, exa=down) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"))
        await account(client, "serper-search", world.base("serper"))
        answer = await search(client)
    message = answer.json()["error"]["message"]
    assert answer.status_code == 503
    assert message == (
        "No search provider answered: serper-search (serper-search): down (status 503); "
        "exa-search (exa-search): down (status 503)"
    )


async def test_results_are_kept_and_cost_nothing_again(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        first = (await search(client)).json()
        again = (await search(client, "RUST  async")).json()
        other = (await search(client, language="de")).json()
        spent = opened.engine.ledger.spent_micro_usd()
    assert [one["cached"] for one in (first, again, other)] == [False, True, False]
    assert again["usage"] == {"queries_used": 0, "search_cost_usd": 0.0}
    assert again["results"] == first["results"]
    assert (len(world.asked), spent) == (2, 14_000)


async def test_the_same_question_at_once_is_asked_once(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        answers = await asyncio.gather(*(search(client) for _ in range(10)))
    assert [one.status_code for one in answers] == [200] * 10
    assert sum(not one.json()["cached"] for one in answers) == 1
    assert world.asked == ["exa"]


async def test_without_a_time_to_keep_them_results_are_asked_for_anew(site: OpenSite) -> None:
    async with (
        engines(exa=GOOD) as world,
        site(**SEARCHES, SEARCH_CACHE_TTL_MS="0") as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"))
        told = [(await search(client)).json()["cached"] for _ in range(2)]
    assert (told, len(world.asked)) == ([False, False], 2)


async def keyed(client: httpx.AsyncClient, **fields: Any) -> tuple[str, str]:
    """A new key: its id and its text."""
    told = (await client.post("/api/keys", json={"name": "k", **fields})).json()
    return told["id"], told["key"]


async def test_a_budget_refuses_before_anything_is_sent(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        key_id, text = await keyed(client)
        limits = {"apiKeyId": key_id, "dailyLimitUsd": 0.010}
        assert (await client.post("/api/usage/budget", json=limits)).status_code == 200
        async with opened.as_peer(key=text) as holder:
            answers = [await search(holder, f"number {place}") for place in range(2)]
            kept = await search(holder, "number 0")
    assert [one.status_code for one in answers] == [200, 429]
    assert "budget" in answers[1].text.lower()
    assert (world.asked, kept.json()["cached"]) == (["exa"], True)


async def test_a_key_may_be_for_other_models_only(site: OpenSite) -> None:
    async with site(**SEARCHES) as opened, opened.as_peer() as client:
        _, text = await keyed(client, allowedModels=["demo/*"])
        async with opened.as_peer(key=text) as holder:
            answer = await search(holder, provider="demo-search")
    assert answer.status_code == 403


async def test_the_demo_searches_by_name_only_and_says_so(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        told = (await search(client, provider="demo-search", max_results=2)).json()
        failed = await search(client, "status-503", provider="demo")
    assert told["provider"] == "demo-search"
    assert [row["url"] for row in told["results"]] == [
        "https://example.com/rust-async/1",
        "https://example.com/rust-async/2",
    ]
    assert "Made up by the built-in demo" in told["results"][0]["snippet"]
    assert failed.status_code == 503


async def test_search_accounts_are_no_model_accounts(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        made = await account(client, "exa-search", world.base("exa"), defaultModel="m")
        models = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
        hello = {"messages": [{"role": "user", "content": "Hi"}]}
        auto = await client.post("/v1/chat/completions", json={"model": "auto", **hello})
        named = await client.post("/v1/chat/completions", json={"model": "exa-search/m", **hello})
        listed = await client.get(f"/api/providers/{made.json()['connection']['id']}/models")
    assert [name for name in models if "search" in name.split("/")[0]] == []
    assert auto.json()["model"] == "demo/echo"
    assert named.status_code in (400, 404)
    assert listed.json()["models"] == []
    assert world.asked == []


TESTED: dict[str, tuple[tuple[int, Any], bool, str]] = {
    "good": (GOOD, True, "ok"),
    "a refused key": ((401, {"error": "bad"}), False, "upstream_auth_error"),
    "down": ((503, {"error": "down"}), False, "upstream_unavailable"),
    "no search service": ((200, b"hello"), False, "upstream_error"),
}


@pytest.mark.parametrize(("given", "valid", "kind"), TESTED.values(), ids=TESTED)
async def test_an_account_is_tested_by_a_search(
    site: OpenSite, given: tuple[int, Any], valid: bool, kind: str
) -> None:
    async with engines(exa=given) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        made = await account(client, "exa-search", world.base("exa"))
        told = await client.post(f"/api/providers/{made.json()['connection']['id']}/test", json={})
        batch = await client.post("/api/providers/test-batch", json={"mode": "search"})
        key = {"provider": "exa-search", "apiKey": "k", "baseUrl": world.base("exa")}
        checked = await client.post("/api/providers/validate", json=key)
    assert (told.json()["valid"], told.json()["diagnosis"]["type"]) == (valid, kind)
    assert [row["provider"] for row in batch.json()["results"]] == ["exa-search"]
    assert (checked.json()["valid"], checked.json()["method"]) == (valid, "search")
    assert [head.split(" ")[:2] for head in world.heads] == [["POST", "/exa/search"]] * 3


async def test_an_engine_id_is_part_of_an_account_of_google(site: OpenSite) -> None:
    async with (
        engines(g=(200, {"items": [ROW]})) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        without = await account(client, "google-pse-search", world.base("g"))
        cx = {"cx": "12:ab"}
        made = await account(client, "google-pse-search", world.base("g"), data=cx)
        told = (await search(client)).json()
    assert (without.status_code, made.status_code) == (400, 201)
    assert "providerSpecificData.cx" in without.text
    assert "cx=12:ab" in world.heads[0]
    assert "x-goog-api-key: secret-key" in world.heads[0].lower()
    assert told["results"][0]["url"] == "https://a.io"


async def test_keys_of_perplexity_are_good_for_its_search(site: OpenSite) -> None:
    async with engines(p=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "perplexity", world.base("p"))
        told = (await search(client)).json()
    assert told["provider"] == "perplexity-search"
    assert "authorization: bearer secret-key" in world.heads[0].lower()


async def test_a_key_sees_only_its_accounts(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        other = await account(client, "openai", world.base("o"))
        allowed = [other.json()["connection"]["id"]]
        _, text = await keyed(client, allowedConnections=allowed)
        async with opened.as_peer(key=text) as holder:
            answer = await search(holder)
    assert answer.status_code == 400
    assert world.asked == []


def spent(opened: Site) -> int:
    return opened.engine.ledger.spent_micro_usd()


async def test_a_failed_search_costs_nothing(site: OpenSite) -> None:
    async with (
        engines(exa=(500, {"error": "down"})) as world,
        site(**SEARCHES) as opened,
        opened.as_peer() as client,
    ):
        await account(client, "exa-search", world.base("exa"))
        await search(client)
        assert (spent(opened), opened.engine.ledger.open_reservations) == (0, 0)


async def test_searches_are_counted_by_provider(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        for query in ("one", "one", "two"):
            await search(client, query)
        await search(client, "status-500", provider="demo")
        await opened.engine.journal.flush()
        _, text = await keyed(client)
        async with opened.as_peer(key=text) as holder:
            nothing = (await holder.get(f"{PATH}/analytics")).json()
        mine = (await client.get(f"{PATH}/analytics")).json()
        async with opened.as_peer(key=BOSS) as boss:
            everybody = (await boss.get(f"{PATH}/analytics")).json()
    (hour,) = mine.pop("last24h")
    assert (hour["count"], hour["costUsd"]) == (4, 0.014)
    assert mine.pop("avgDurationMs") >= 0
    assert mine == {
        "total": 4,
        "today": 4,
        "cached": 1,
        "errors": 1,
        "totalCostUsd": 0.014,
        "byProvider": {
            "demo-search": {"count": 1, "costUsd": 0.0},
            "exa-search": {"count": 3, "costUsd": 0.014},
        },
        "cacheHitRate": 25,
    }
    assert (nothing["total"], nothing["cacheHitRate"], everybody["total"]) == (0, 0, 4)


async def test_a_search_is_a_step_of_its_run(site: OpenSite) -> None:
    run = {"x-omniroute-run-id": "research-1"}
    async with site(**SEARCHES) as opened, opened.as_peer() as client:
        asked = {"query": "x", "provider": "demo"}
        answer = await client.post(PATH, json=asked, headers=run)
        await opened.engine.journal.flush()
        tree = (await client.get("/api/runs/research-1")).json()
        why = (await client.get(f"/api/routes/{answer.headers['x-request-id']}")).json()
    (step,) = tree["tree"]
    assert (step["name"], step["status"]) == ("demo-search/search", "completed")
    assert why["requestId"] == answer.headers["x-request-id"]


async def test_a_tool_skill_searches_within_its_run(site: OpenSite) -> None:
    async with engines(exa=GOOD) as world, site(**SEARCHES) as opened, opened.as_peer() as client:
        await account(client, "exa-search", world.base("exa"))
        await client.put("/api/settings/memory", json={"skillsEnabled": True})
        asked = {"skillName": "web_search", "apiKeyId": "anonymous", "input": {"query": "x"}}
        done = (await client.post("/api/skills/executions", json=asked)).json()
        none = {**asked, "input": {"query": "x", "search_type": "images"}}
        wrong = await client.post("/api/skills/executions", json=none)
        await opened.engine.journal.flush()
        tree = (await client.get(f"/api/runs/{done['execution']['id']}")).json()["tree"]
    told = done["execution"]
    assert told["status"] == "success", told
    assert told["output"]["provider"] == "exa-search"
    assert told["output"]["results"][0]["position"] == 1
    assert wrong.status_code == 400
    (skill,) = tree
    assert [row["name"] for row in skill["children"]] == ["exa-search/search"]
    assert skill["totalCostUsd"] == 0.007
