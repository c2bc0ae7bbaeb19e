"""Skills that answer from the ledger and the live state: on nothing, and on everything."""

from typing import Any

import pytest

from omniroute.caller import Caller
from omniroute.catalog.quota_report import QuotaReport, QuotaWindow
from omniroute.chat import Message, Text
from omniroute.engine import Engine
from omniroute.errors import StorageUnavailable, ValidationFailed
from omniroute.operations.accounts.connections import ConnectionInput, create_connection
from omniroute.operations.combos.combos import ComboInput, create_combo
from omniroute.operations.models.custom_models import ModelChange, add_custom_model
from omniroute.operations.routing import quotas
from omniroute.routing.resilience.health import Breaker
from omniroute.skills.skill import SkillReply, SkillRequest
from omniroute.storage.records.usage import UsageRow
from omniroute_agents import SKILLS, quota_management

pytestmark = pytest.mark.anyio

OPERATOR = Caller(door="a2a", is_operator=True)


async def ask(
    engine: Engine, skill: str, text: str, caller: Caller = OPERATOR, **options: Any
) -> SkillReply:
    """The reply, which was emitted whole."""
    emitted: list[str] = []

    async def emit(piece: str) -> None:
        emitted.append(piece)

    request = SkillRequest("task-1", caller, (Message("user", (Text(text),)),), options)
    reply = await SKILLS[skill].run(engine, request, emit)
    assert "".join(emitted) == reply.text
    return reply


async def account(engine: Engine, provider: str, name: str) -> str:
    new = ConnectionInput(provider=provider, name=name, api_key="sk-test")
    return (await create_connection(engine, OPERATOR, new)).id


async def with_quotas(engine: Engine) -> None:
    """Three accounts: one without a limit, one with three quarters left, one nearly used up."""
    reports = {
        "openai": QuotaReport(windows={"all": QuotaWindow(unlimited=True)}),
        "groq": QuotaReport(windows={"daily": QuotaWindow(used=25, total=100, left=0.75)}),
        "mistral": QuotaReport(windows={"monthly": QuotaWindow(used=95, total=100, left=0.05)}),
    }
    for provider, report in reports.items():
        engine.live.quotas.report(await account(engine, provider, "a"), report)


EMPTY: dict[str, tuple[str, dict[str, Any]]] = {
    "who has the most quota?": ("By what", {"queryType": "ranking", "providers": ["demo"]}),
    "suggest something": ("No combo", {"queryType": "free_suggestion", "freeCombos": 0}),
    "hello": ("Quotas of 1", {"queryType": "summary", "providerCount": 1, "warnings": 0}),
}


@pytest.mark.parametrize(("text", "expected"), EMPTY.items(), ids=EMPTY)
async def test_quotas_of_a_new_gateway(
    engine: Engine, text: str, expected: tuple[str, dict[str, Any]]
) -> None:
    reply = await ask(engine, "quota-management", text)
    assert (reply.text.startswith(expected[0]), reply.metadata) == (True, expected[1])


FULL: dict[str, tuple[str, dict[str, Any]]] = {
    "RANKING please": (
        (
            "By what is left, the most first: 1. openai (unlimited); 2. groq (75 % left); "
            "3. mistral (5 % left)."
        ),
        {"queryType": "ranking", "providers": ["openai", "groq", "mistral"]},
    ),
    "what is free?": (
        "These combos are meant to cost nothing: Free-tier, gratis. Use one as the model.",
        {"queryType": "free_suggestion", "freeCombos": 2},
    ),
    "how much is left?": (
        (
            "Quotas of 3 accounts at 3 providers are known: 1 unlimited, 1 with 10 % or less left. "
            "Used: mistral 95 of 100, groq 25 of 100. Nearly used up: mistral (5 % left)."
        ),
        {"queryType": "summary", "providerCount": 3, "warnings": 1},
    ),
}


@pytest.mark.parametrize(("text", "expected"), FULL.items(), ids=FULL)
async def test_quotas_of_a_busy_gateway(
    engine: Engine, text: str, expected: tuple[str, dict[str, Any]]
) -> None:
    await with_quotas(engine)
    for name in ("Free-tier", "gratis", "paid"):
        await create_combo(engine, OPERATOR, ComboInput(name=name, models=["demo/echo"]))
    reply = await ask(engine, "quota-management", text)
    assert (reply.text, reply.metadata) == expected


async def test_quotas_that_cannot_be_read_are_not_known(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> quotas.QuotaOverview:
        raise StorageUnavailable("gone")

    monkeypatch.setattr(quota_management, "quota_overview", fail)
    reply = await ask(engine, "quota-management", "hello")
    assert reply.text.startswith("No provider has reported a quota.")
    assert reply.metadata == {"queryType": "summary", "providerCount": 0, "warnings": 0}


CAPABILITIES = {
    "I need vision": "images",
    "make a video": "video",
    "speech to text": "audio",
    "which embedding model": "embeddings",
    "a reranker": "rerank",
    "ask the web": "search",
    "self-hosted only": "local",
    "talk to me": "chat",
}


@pytest.mark.parametrize(("text", "capability"), CAPABILITIES.items())
async def test_discovery_reads_the_capability_from_the_words(
    engine: Engine, text: str, capability: str
) -> None:
    assert (await ask(engine, "provider-discovery", text)).metadata["capability"] == capability


async def test_discovery_finds_nobody_where_nobody_is_known(engine: Engine) -> None:
    reply = await ask(engine, "provider-discovery", "hello", capability="video")
    assert reply.text.startswith("No provider is known to offer video.")
    assert reply.metadata == {
        "capability": "video",
        "totalCandidates": 0,
        "configuredCandidates": 0,
        "recommendedProvider": None,
        "candidates": [],
    }


async def test_discovery_of_a_new_gateway_recommends_what_answers(engine: Engine) -> None:
    shown = (await ask(engine, "provider-discovery", "chat")).metadata
    assert (shown["recommendedProvider"], shown["configuredCandidates"]) == ("demo", 1)
    assert len(shown["candidates"]) == 10 < shown["totalCandidates"]


async def test_discovery_prefers_who_is_set_up_and_well(engine: Engine) -> None:
    for provider in ("openai", "groq"):
        await account(engine, provider, "a")
    now_ms = engine.now_ms()
    engine.health._breakers = {"openai": Breaker(failures=9, last_failure_ms=now_ms, tripped=True)}
    reply = await ask(engine, "provider-discovery", "chat")
    assert reply.metadata["recommendedProvider"] == "groq"
    assert "demo" not in [row["id"] for row in reply.metadata["candidates"]]
    best = reply.metadata["candidates"][0]
    assert {name: best[name] for name in ("configured", "active", "health")} == {
        "configured": True,
        "active": True,
        "health": "none",
    }
    assert "2 of them with an account. Recommended: Groq, not asked yet" in reply.text


async def test_discovery_knows_models_that_were_added(engine: Engine) -> None:
    await account(engine, "openai", "a")
    added = ModelChange(
        provider="openai", model_id="text-embedding-3-small", api_format="embeddings"
    )
    await add_custom_model(engine, OPERATOR, added)
    shown = (await ask(engine, "provider-discovery", "embeddings")).metadata
    assert (shown["totalCandidates"], shown["recommendedProvider"]) == (1, "openai")


async def test_costs_of_a_new_gateway(engine: Engine) -> None:
    reply = await ask(engine, "cost-analysis", "hello")
    assert reply.text == "Nothing was asked in the range 30d, so nothing was spent."
    assert reply.metadata == {
        "range": "30d",
        "totalCost": 0,
        "totalRequests": 0,
        "providerCosts": [],
        "modelCosts": [],
        "savings": [],
    }


RANGES = {
    "what about TODAY": "1d",
    "the last 7d": "7d",
    "this week": "7d",
    "the quarter": "90d",
    "this year": "ytd",
    "in all": "30d",
}


@pytest.mark.parametrize(("text", "span"), RANGES.items())
async def test_costs_read_the_range_from_the_words(engine: Engine, text: str, span: str) -> None:
    assert (await ask(engine, "cost-analysis", text)).metadata["range"] == span


@pytest.mark.parametrize(
    ("skill", "options"),
    [("cost-analysis", {"range": "1h"}), ("provider-discovery", {"capability": "dancing"})],
)
async def test_unknown_choices_are_refused(
    engine: Engine, skill: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ValidationFailed, match="must be one of"):
        await ask(engine, skill, "x", **options)


def attempt(engine: Engine, request: str, number: int, **members: Any) -> UsageRow:
    given: dict[str, Any] = {
        "id": f"{request}:{number}",
        "request_id": request,
        "attempt": number,
        "timestamp_ms": engine.now_ms(),
        "provider": "openai",
        "model": "gpt-4o",
        "connection_id": "a",
        "api_key_id": "k",
        "combo": None,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_micro_usd": 2_000_000,
    }
    return UsageRow(**{**given, **members})


async def with_costs(engine: Engine) -> None:
    """Two requests of two keys; the second fell back once."""
    failed = {"provider": "groq", "model": "llama", "input_tokens": 0, "output_tokens": 0}
    requests = [
        [attempt(engine, "r1", 1)],
        [
            attempt(engine, "r2", 1, **failed, cost_micro_usd=0, success=False, api_key_id="other"),
            attempt(engine, "r2", 2, cost_micro_usd=1_000_000, api_key_id="other"),
        ],
    ]
    async with engine.database.work() as work:
        await work.rollups.add(requests)


async def test_costs_of_a_busy_gateway(engine: Engine) -> None:
    await with_costs(engine)
    reply = await ask(engine, "cost-analysis", "hello", range="ytd")
    assert reply.metadata == {
        "range": "ytd",
        "totalCost": 3.0,
        "totalRequests": 2,
        "providerCosts": [
            {"id": "openai", "requests": 2, "cost": 3.0, "tokens": 30},
            {"id": "groq", "requests": 0, "cost": 0.0, "tokens": 0},
        ],
        "modelCosts": [
            {"id": "gpt-4o (openai)", "requests": 2, "cost": 3.0, "tokens": 30},
            {"id": "llama (groq)", "requests": 0, "cost": 0.0, "tokens": 0},
        ],
        "savings": [
            "openai is the costliest provider: $3.0000, 100% of all spend.",
            "gpt-4o (openai) is the costliest model: $3.0000 for 2 requests.",
            "33% of all attempts were made because an earlier one failed.",
        ],
    }
    assert reply.text.startswith("$3.0000 were spent in the range ytd, on 2 requests with 30 tok")


async def test_a_key_sees_its_own_costs_only(engine: Engine) -> None:
    await with_costs(engine)
    mine = await ask(engine, "cost-analysis", "hello", Caller(door="a2a", key_id="k"))
    assert (mine.metadata["totalCost"], mine.metadata["totalRequests"]) == (2.0, 1)
