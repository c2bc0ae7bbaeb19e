"""What operators have every request changed to, over HTTP: kept, merged, in force at once."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

PROMPT, BUDGET = "/api/settings/system-prompt", "/api/settings/thinking-budget"
ASK = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}


async def test_the_system_prompt_is_merged_and_holds_for_the_next_request(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert (await client.get(PROMPT)).json() == {"enabled": False, "prompt": ""}
        await client.put(PROMPT, json={"prompt": "Be brief."})
        on = await client.put(PROMPT, json={"enabled": True})
        assert on.json() == {"enabled": True, "prompt": "Be brief."}
        answer = await client.post("/v1/chat/completions", json=ASK)
        assert answer.headers["x-omniroute-changes"] == "system-prompt"
        why = await client.get(f"/api/routes/{answer.headers['x-request-id']}")
        assert "Changed before it was sent: the operator's system prompt" in why.json()["text"]
        await client.put(PROMPT, json={"enabled": False})
        answer = await client.post("/v1/chat/completions", json=ASK)
        assert "x-omniroute-changes" not in answer.headers


async def test_the_thinking_budget_is_merged(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        before = (await client.get(BUDGET)).json()
        assert (before["mode"], before["customBudget"]) == ("passthrough", 10_240)
        await client.put(BUDGET, json={"customBudget": 512})
        after = (await client.put(BUDGET, json={"mode": "custom"})).json()
        assert after == {**before, "mode": "custom", "customBudget": 512}


async def test_a_task_goes_to_its_model_and_back_when_that_cannot_be_used(site: OpenSite) -> None:
    def rule(model: str) -> dict[str, Any]:
        return {"taskRouting": {"enabled": True, "models": {"chat": model}}}

    async with site() as opened, opened.as_peer() as client:
        (await client.patch("/api/settings", json=rule("demo/count-3"))).raise_for_status()
        answer = await client.post("/v1/chat/completions", json={**ASK, "model": "auto"})
        assert answer.headers["x-omniroute-model"] == "count-3"
        assert answer.headers["x-omniroute-changes"] == "task-routing"
        (await client.patch("/api/settings", json=rule("nobody/x"))).raise_for_status()
        answer = await client.post("/v1/chat/completions", json={**ASK, "model": "auto"})
        assert answer.status_code == 200
        assert "x-omniroute-changes" not in answer.headers
        why = await client.get(f"/api/routes/{answer.headers['x-request-id']}")
        assert "not sent to 'nobody/x'" in why.json()["text"]


BAD: dict[str, tuple[str, str, Any]] = {
    "nothing": ("PUT", PROMPT, {}),
    "an unknown field": ("PUT", PROMPT, {"promt": "x"}),
    "a prompt that is too long": ("PUT", PROMPT, {"prompt": "x" * 50_001}),
    "an unknown mode": ("PUT", BUDGET, {"mode": "wild"}),
    "too much thinking": ("PUT", BUDGET, {"customBudget": 131_073}),
    "no budget": ("PUT", BUDGET, {}),
    "an unknown part of a rule": ("PATCH", "/api/settings", {"taskRouting": {"on": True}}),
    "a rule that is no object": ("PATCH", "/api/settings", {"backgroundDegradation": True}),
}


@pytest.mark.parametrize(("method", "path", "body"), BAD.values(), ids=BAD)
async def test_what_is_not_valid_is_refused(
    site: OpenSite, method: str, path: str, body: Any
) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert (await client.request(method, path, json=body)).status_code == 400


async def test_a_pattern_that_does_not_compile_is_refused(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        body = {"name": "x", "models": ["demo/echo"], "tool_filter_regex": "(["}
        answer = await client.post("/api/combos", json=body)
        assert answer.status_code == 400
        assert "tool_filter_regex" in answer.text
