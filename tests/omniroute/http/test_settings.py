"""Settings: what may be said, and that it holds from the next request on."""

from collections.abc import Mapping
from typing import Any, get_args

import pytest
from tests.omniroute.http.conftest import BOSS, OpenSite

from omniroute.chat import ChatRequest, Message, Text
from omniroute.operations.configuration.settings import require_valid_settings
from omniroute.routing.naming.resolve import AUTO_VARIANTS
from omniroute.routing.scoring.intent import Intent, intent_of
from omniroute.routing.settings import SETTING_ROWS, SETTINGS
from omniroute.routing.turns.accounts import ACCOUNT_STRATEGIES

pytestmark = pytest.mark.anyio


def test_every_default_fits_its_own_row() -> None:
    require_valid_settings(dict(SETTINGS))
    assert {row.told for row in SETTING_ROWS.values()} > {""} - {""}
    assert set(get_args(SETTING_ROWS["fallbackStrategy"].kind)) == set(ACCOUNT_STRATEGIES)
    assert set(get_args(SETTING_ROWS["autoRoutingDefaultVariant"].kind)) == {"", *AUTO_VARIANTS}


BAD: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "an unknown name": ({"mcpEnable": True}, "mcpEnable", "'mcpEnabled'"),
    "no switch": ({"mcpEnabled": 1}, "mcpEnabled", "true or false"),
    "no choice": ({"sessionAffinity": "never"}, "sessionAffinity", "'explicit'"),
    "out of range": ({"maxBodySizeMb": 501}, "maxBodySizeMb", "between 0 and 500"),
    "a number in quotes": ({"stickyRoundRobinLimit": "3"}, "stickyRoundRobinLimit", "number"),
    "too long": ({"language": "x" * 11}, "language", "at most 10"),
    "no list": ({"blockedProviders": "openai"}, "blockedProviders", "array"),
    "inside a list": ({"blockedProviders": ["openai", 3]}, "blockedProviders.1", "str"),
    "inside an object": (
        {"wildcardAliases": [{"pattern": "a*"}]},
        "wildcardAliases.0.target",
        "required",
    ),
    "an unknown field inside": ({"systemPrompt": {"text": "x"}}, "systemPrompt", "text"),
    "a layer": ({"comboDefaults": {"maxRetrys": 1}}, "comboDefaults", "maxRetrys"),
    "a wait": ({"requestRetry": 11}, "waitForCooldown.maxRetries", "10"),
    "a password that is none": ({"newPassword": 5}, "newPassword", "text"),
}


@pytest.mark.parametrize(("body", "field", "told"), BAD.values(), ids=BAD)
async def test_what_does_not_fit_is_refused_by_name(
    site: OpenSite, body: dict[str, Any], field: str, told: str
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        before = (await client.get("/api/settings")).json()
        refused = await client.patch("/api/settings", json=body)
        after = (await client.get("/api/settings")).json()
    [detail] = refused.json()["error"]["details"]
    assert (refused.status_code, detail["field"]) == (400, field)
    assert told in detail["message"]
    assert after == before


async def test_a_blocked_provider_is_neither_asked_nor_listed(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        account = {"provider": "groq", "name": "main", "apiKey": "gsk-test"}
        await client.post("/api/providers", json=account)
        before = (await client.get("/v1/models")).text
        await client.put("/api/settings", json={"blockedProviders": ["groq"]})
        after = (await client.get("/v1/models")).text
        asked = await client.post(
            "/v1/chat/completions",
            json={
                "model": "groq/llama-3.1-8b-instant",
                "messages": [{"role": "user", "content": "Hi"}],
            },
        )
    assert ('"groq/' in before, '"groq/' in after) == (True, False)
    assert asked.status_code == 400


async def test_patterns_of_names_stand_for_models(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        await client.patch(
            "/api/settings",
            json={"wildcardAliases": [{"pattern": "gpt-*", "target": "demo/echo"}]},
        )
        answer = await client.post(
            "/v1/chat/completions",
            json={"model": "gpt-oldest", "messages": [{"role": "user", "content": "Hi"}]},
        )
    assert (answer.status_code, answer.headers["x-omniroute-provider"]) == (200, "demo")


async def test_limits_and_origins_change_while_it_runs(site: OpenSite) -> None:
    origin = {"origin": "https://new.example"}
    async with site(MAX_BODY_SIZE_BYTES="1000") as gateway, gateway.as_peer(key=None) as client:
        large = {"name": "x", "filler": "x" * 2_000}
        refused = await client.post("/api/combos", json=large)
        await client.patch(
            "/api/settings", json={"maxBodySizeMb": 1, "corsOrigins": "https://new.example"}
        )
        taken = await client.post("/api/combos", json=large)
        read = await client.get("/v1/models", headers=origin)
    assert (refused.status_code, taken.status_code) == (413, 201)
    assert read.headers["access-control-allow-origin"] == "https://new.example"


async def test_waits_are_the_same_under_both_names(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        changed = await client.patch(
            "/api/settings", json={"requestRetry": 1, "maxRetryIntervalSec": 7}
        )
        waits = (await client.get("/api/resilience")).json()["waitForCooldown"]
    assert (changed.json()["requestRetry"], changed.json()["maxRetryIntervalSec"]) == (1, 7)
    assert (waits["maxRetries"], waits["maxRetryWaitSec"]) == (1, 7)


WORDS: Mapping[str, tuple[str, dict[Intent, list[str]], Intent]] = {
    "of no meaning": ("flurbo the gargle", {}, "medium"),
    "a word for programming": ("flurbo the gargle", {"code": ["gargle"]}, "code"),
    "in another case": ("FLURBO the gargle", {"reasoning": ["flurbo"]}, "reasoning"),
    "only from its beginning": ("unflurbo it", {"simple": ["flurbo"]}, "medium"),
    "no pattern": ("flurbo", {"code": ["f.*o"]}, "medium"),
    "in a language without spaces": ("请整理一下", {"simple": ["整理"]}, "simple"),
}


@pytest.mark.parametrize(("text", "extra", "expected"), WORDS.values(), ids=WORDS)
def test_further_words_mean_what_an_operator_says(
    text: str, extra: dict[Intent, list[str]], expected: Intent
) -> None:
    request = ChatRequest(model="auto", messages=(Message("user", (Text(text),)),))
    assert intent_of(request, 60, extra) == expected


async def test_what_the_gateway_runs_on(site: OpenSite) -> None:
    async with site(OMNIROUTE_API_KEY=BOSS) as gateway, gateway.as_peer(key=BOSS) as client:
        begun = (await client.get("/api/init")).json()
        info = (await client.get("/api/system-info")).json()
        text = await client.get("/api/system-info?format=text")
        stopped = await client.post("/api/shutdown")
    assert begun == {"initialized": True}
    assert info["omniroute"]["database"]["sizeBytes"] > 4096
    assert info["omniroute"]["dataDirWritable"] is True
    assert {tool["name"] for tool in info["tools"]} >= {"git", "node", "claude"}
    assert BOSS not in str(info)
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.startswith("OmniRoute ")
    # Nothing that could be stopped runs this engine.
    assert stopped.status_code == 409
