"""Prompts and completions: what each brings along, and what fits what is typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmbeddedResource,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)
from tests.omniroute_mcp.test_resources import connected
from tests.omniroute_mcp.tools.example import ROUTED

from omniroute.pipeline.compression.condensing import condensed
from omniroute.routing.strategies import STRATEGIES
from omniroute_mcp.callers import Policy
from omniroute_mcp.completions import MOST
from omniroute_mcp.errors import SCOPE_DENIED
from omniroute_mcp.prompts import PROMPTS
from omniroute_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio

ASKED: dict[str, tuple[dict[str, str], str, str]] = {
    "choose-combo": (
        {"taskType": "coding", "budget": "0.5", "latencyMs": "900"},
        "omniroute://combos",
        "coding work best, at most 0.5 USD and within 900 ms?",
    ),
    "diagnose-provider": ({"provider": "demo"}, "omniroute://providers/demo/metrics", "demo"),
    "cost-review": ({"period": "week"}, "omniroute://usage/week", "this week"),
    "explain-request": ({"requestId": ROUTED}, f"omniroute://routes/{ROUTED}", ROUTED),
    "incident-summary": ({}, "omniroute://health", "failing"),
    "route-task": ({"task": "write a haiku"}, "omniroute://models", "write a haiku"),
}


def test_every_prompt_is_asked_here() -> None:
    assert set(ASKED) == set(PROMPTS)


@pytest.mark.parametrize("name", PROMPTS)
async def test_a_prompt_asks_and_brings_what_answers(tmp_path: Path, name: str) -> None:
    arguments, uri, words = ASKED[name]
    async with connected(tmp_path) as (_, client):
        listed = {one.name: one for one in (await client.list_prompts()).prompts}
        result = await client.get_prompt(name, arguments)
        shown = await client.read_resource(uri)
    question, answer = (message.content for message in result.messages)
    assert isinstance(question, TextContent)
    assert words in question.text
    assert isinstance(answer, EmbeddedResource)
    assert isinstance(answer.resource, TextResourceContents)
    assert isinstance(shown.contents[0], TextResourceContents)
    assert answer.resource.uri == uri
    assert json.loads(answer.resource.text).keys() == json.loads(shown.contents[0].text).keys()
    assert {message.role for message in result.messages} == {"user"}
    assert (listed[name].title, listed[name].description) == (
        PROMPTS[name].title,
        condensed(PROMPTS[name].description),
    )


@pytest.mark.parametrize("name", PROMPTS)
async def test_a_prompt_names_only_tools_there_are(tmp_path: Path, name: str) -> None:
    text = PROMPTS[name].text({**ASKED[name][0]})
    named = {word.strip(".,;:") for word in text.split() if word.startswith("omniroute_")}
    assert named, "a prompt says which tools to call"
    assert named <= set(TOOLS)


REFUSED: dict[str, tuple[str, dict[str, str], str]] = {
    "an unknown prompt": ("choose-comb", {}, "Did you mean 'choose-combo'?"),
    "a missing argument": ("route-task", {"taskType": "coding"}, "route-task needs task."),
    "an empty argument": ("route-task", {"task": ""}, "route-task needs task."),
    "a provider nobody knows": ("diagnose-provider", {"provider": "opnai"}, "openai"),
    "a request nobody made": ("explain-request", {"requestId": "x"}, "No request with this id"),
}


@pytest.mark.parametrize(("name", "arguments", "text"), REFUSED.values(), ids=REFUSED)
async def test_a_prompt_that_cannot_be_made_says_why(
    tmp_path: Path, name: str, arguments: dict[str, str], text: str
) -> None:
    async with connected(tmp_path) as (_, client):
        with pytest.raises(MCPError, match=text.replace("?", r"\?")) as refused:
            await client.get_prompt(name, arguments)
    assert refused.value.error.code == INVALID_PARAMS


async def test_a_prompt_shows_nothing_the_caller_may_not_read(tmp_path: Path) -> None:
    async with connected(tmp_path, policy=Policy(enforce=True)) as (_, client):
        with pytest.raises(MCPError) as refused:
            await client.get_prompt("incident-summary")
    assert refused.value.error.code == SCOPE_DENIED


def prompt(name: str) -> PromptReference:
    return PromptReference(type="ref/prompt", name=name)


def template(uri: str) -> ResourceTemplateReference:
    return ResourceTemplateReference(type="ref/resource", uri=uri)


TYPED: dict[str, tuple[Any, tuple[str, str], list[str]]] = {
    "a kind of work": (prompt("choose-combo"), ("taskType", "DO"), ["documentation"]),
    "a provider": (prompt("diagnose-provider"), ("provider", "de"), ["demo"]),
    "a provider of a template": (
        template("omniroute://models/{provider}"),
        ("provider", "D"),
        ["demo"],
    ),
    "a combo": (template("omniroute://combos/{comboId}"), ("comboId", "PA"), ["pair"]),
    "a period": (template("omniroute://usage/{period}"), ("period", "w"), ["week"]),
    "strategies": (
        prompt("route-task"),
        ("strategy", "r"),
        ["round-robin", "random", "reset-aware"],
    ),
    "nothing like it": (prompt("cost-review"), ("period", "x"), []),
    "an argument that takes anything": (prompt("route-task"), ("task", ""), []),
    "an unknown argument": (prompt("route-task"), ("colour", ""), []),
    "an unknown prompt": (prompt("dance"), ("taskType", ""), []),
    "an unknown template": (template("omniroute://{x}"), ("provider", ""), []),
}


@pytest.mark.parametrize(("reference", "typed", "fitting"), TYPED.values(), ids=TYPED)
async def test_completing(
    tmp_path: Path, reference: Any, typed: tuple[str, str], fitting: list[str]
) -> None:
    async with connected(tmp_path) as (_, client):
        found = (await complete(client, reference, *typed)).completion
    assert (found.values, found.total, found.has_more) == (fitting, len(fitting), False)


async def complete(
    client: Client, reference: Any, name: str, value: str, context: dict[str, str] | None = None
) -> Any:
    return await client.complete(reference, {"name": name, "value": value}, context)


async def test_models_are_those_of_the_provider_that_is_chosen_already(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, client):
        route = prompt("route-task")
        of_demo = await complete(client, route, "model", "ec", {"provider": "demo"})
        of_openai = await complete(client, route, "model", "gpt", {"provider": "openai"})
    assert of_demo.completion.values == ["echo"]
    assert of_openai.completion.values
    assert all(one.startswith("gpt") for one in of_openai.completion.values)


def test_limits_and_names_are_the_published_ones() -> None:
    assert MOST == 100
    assert len(STRATEGIES) == 14
