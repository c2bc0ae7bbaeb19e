"""What a model string means."""

from typing import Any

import pytest
from tests.support.builders import account, combo, node, snapshot

from omniroute.chat import Dialect
from omniroute.errors import AmbiguousModel, InvalidRequest, UnknownModel
from omniroute.routing.naming.patterns import specificity
from omniroute.routing.naming.resolve import AutoRoute, NamedCombo, Resolution, SingleModel, resolve
from omniroute.storage.records.configuration import CustomModel, ModelMapping

SNAPSHOT = snapshot(
    nodes=[node("mine")],
    accounts=[
        account("mine-mine", "a"),
        account("groq", "g"),
        account("ollama", "o", options={"models": ["llama3.2:1b"]}),
    ],
    combos=[
        combo("team/fast", "demo/echo"),
        combo("auto/best-coding", "demo/echo"),
        combo("off", "demo/echo", is_active=False),
        combo("empty"),
    ],
)

NAMES: dict[str, tuple[str, Resolution]] = {
    "a combo": ("team/fast", NamedCombo(SNAPSHOT.combos["team/fast"])),
    "a combo by its prefix": ("combo/team/fast", NamedCombo(SNAPSHOT.combos["team/fast"])),
    "a stored auto variant": ("auto/coding", NamedCombo(SNAPSHOT.combos["auto/best-coding"])),
    "auto": ("auto", AutoRoute()),
    "a node": ("mine/any/thing", SingleModel("mine-mine", "any/thing")),
    "a node by its id": ("mine-mine/any/thing", SingleModel("mine-mine", "any/thing")),
    "a provider": ("openai/gpt-4o", SingleModel("openai", "gpt-4o")),
    "an alias": ("ds/deepseek-chat", SingleModel("deepseek", "deepseek-chat")),
    "an extra alias": ("cc/claude-x", SingleModel("anthropic", "claude-x")),
    "blanks around": ("  openai/gpt-4o ", SingleModel("openai", "gpt-4o")),
    "the extended context": (
        "anthropic/claude-sonnet-4-5[1m]",
        SingleModel("anthropic", "claude-sonnet-4-5", True),
    ),
    "a bare name OpenAI lists": ("gpt-4o-mini", SingleModel("openai", "gpt-4o-mini")),
    "a bare name a local server serves": ("llama3.2:1b", SingleModel("ollama", "llama3.2:1b")),
    "a bare name nobody lists, by family": ("claude-next", SingleModel("anthropic", "claude-next")),
    "a bare gemini": ("gemini-next", SingleModel("gemini", "gemini-next")),
    "any other bare name": ("whatever-1", SingleModel("openai", "whatever-1")),
    "a combo that is off is no combo": ("off", SingleModel("openai", "off")),
    "a combo without targets is none": ("empty", SingleModel("openai", "empty")),
}


@pytest.mark.parametrize(("name", "meaning"), NAMES.values(), ids=NAMES)
def test_a_name_means_one_thing(name: str, meaning: Resolution) -> None:
    assert resolve(name, SNAPSHOT) == meaning


REFUSED: dict[str, tuple[str, type[InvalidRequest], str]] = {
    "nothing": ("  ", InvalidRequest, "required"),
    "path steps": ("../x", InvalidRequest, "path steps"),
    "path steps the other way": ("..\\x", InvalidRequest, "path steps"),
    "control characters": ("a\nb", InvalidRequest, "control"),
    "a deleted character": ("a\x7fb", InvalidRequest, "control"),
    "a control character of Latin-1": ("a\x85b", InvalidRequest, "control"),
    "too long": ("x" * 201, InvalidRequest, "200"),
    "an unknown prefix": ("opnai/gpt-4o", UnknownModel, "Did you mean 'openai/gpt-4o'?"),
    "an unknown auto variant": ("auto/nothing", UnknownModel, "auto/best-coding"),
}


@pytest.mark.parametrize(("name", "kind", "told"), REFUSED.values(), ids=REFUSED)
def test_a_name_that_means_nothing_is_refused(
    name: str, kind: type[InvalidRequest], told: str
) -> None:
    with pytest.raises(kind) as refused:
        resolve(name, SNAPSHOT)
    assert told in str(refused.value)


def test_several_providers_of_a_bare_name_are_named() -> None:
    written = r"Write 'mistral/codestral-2508' or 'codestral/codestral-2508'"
    with pytest.raises(AmbiguousModel, match=written):
        resolve("codestral-2508", snapshot())


def test_the_one_provider_with_an_account_settles_a_bare_name() -> None:
    found = resolve("codestral-2508", snapshot(accounts=[account("codestral", "c")]))
    assert found == SingleModel("codestral", "codestral-2508")


def test_a_bare_claude_is_anthropics_whoever_else_lists_it() -> None:
    assert resolve("claude-3-sonnet", snapshot()) == SingleModel("anthropic", "claude-3-sonnet")


@pytest.mark.parametrize("name", ["auto", "auto/", "auto/coding", "auto/stored"])
def test_auto_can_be_switched_off_even_where_a_combo_has_the_name(name: str) -> None:
    world = snapshot(combos=[combo("auto/stored", "demo/echo")], autoRoutingEnabled=False)
    with pytest.raises(InvalidRequest, match="autoRoutingEnabled"):
        resolve(name, world)


def test_a_node_goes_before_a_combo_of_its_prefix_only_where_no_combo_has_the_whole_name() -> None:
    made = combo("mine/x", "demo/echo")
    world = snapshot(nodes=[node("mine")], combos=[made])
    assert resolve("mine/x", world) == NamedCombo(made)
    assert resolve("mine/y", world) == SingleModel("mine-mine", "y")


# One id whose first segment no provider has, one whose first segment is another provider's.
VENDORS = "meta-llama/llama-4-scout-17b-16e-instruct"
LOOKALIKE = "anthropic/claude-3.5-haiku"
IDS: dict[str, tuple[str, tuple[str, ...], SingleModel]] = {
    "a vendor's id": (VENDORS, (), SingleModel("groq", VENDORS)),
    "a lookalike, nobody configured": (LOOKALIKE, (), SingleModel("openrouter", LOOKALIKE)),
    "a lookalike, its lister configured": (
        LOOKALIKE,
        ("openrouter", "anthropic"),
        SingleModel("openrouter", LOOKALIKE),
    ),
    "a lookalike, only the prefix configured": (
        LOOKALIKE,
        ("anthropic",),
        SingleModel("anthropic", "claude-3-5-haiku-latest"),
    ),
}


@pytest.mark.parametrize(("name", "accounts", "meaning"), IDS.values(), ids=IDS)
def test_an_id_with_a_slash_is_not_always_a_prefix_and_a_model(
    name: str, accounts: tuple[str, ...], meaning: SingleModel
) -> None:
    world = snapshot(accounts=[account(provider, provider) for provider in accounts])
    assert resolve(name, world) == meaning


def test_a_prefix_can_be_stripped() -> None:
    found = resolve("any/gpt-4o-mini", snapshot(stripModelPrefix=True))
    assert found == SingleModel("openai", "gpt-4o-mini")


def mapping(pattern: str, combo_name: str, priority: int = 0, **more: Any) -> ModelMapping:
    return ModelMapping(
        id=pattern, pattern=pattern, combo_id=f"id-{combo_name}", priority=priority, **more
    )


NAMED = snapshot(
    nodes=[node("mine")],
    accounts=[account("mine-mine", "a"), account("nvidia", "n"), account("ollama", "o")],
    combos=[
        combo("team", "demo/echo"),
        combo("second", "demo/echo"),
        combo("off", "demo/echo", is_active=False),
        combo("gpt-mapped", "demo/echo"),
    ],
    aliases={
        "fast": "groq/openai/gpt-oss-20b",
        "bare": "gpt-4o-mini",
        "loop": "fast",
        "gone": "nobody/x",
        "claude-*": "anthropic/claude-haiku-4-5",
        "claude-sonnet-*": "openrouter/anthropic/claude-sonnet-4.5",
        "claude-?": "demo/echo",
    },
    # As storage gives them: by priority.
    mappings=[
        mapping("o?-*", "off", 9),
        mapping("O3*", "second", 8),
        mapping("o?", "team", 7),
        mapping("gpt-m*", "team", 6, enabled=False),
        mapping("mine/map*", "team"),
        mapping("auto/wild", "team"),
    ],
)

STANDS_FOR: dict[str, tuple[str, Resolution]] = {
    "an alias with its provider": ("fast", SingleModel("groq", "openai/gpt-oss-20b")),
    "an alias of a bare name": ("bare", SingleModel("openai", "gpt-4o-mini")),
    "aliases are not followed twice": ("loop", SingleModel("openai", "fast")),
    "the long context of an alias": ("fast[1m]", SingleModel("groq", "openai/gpt-oss-20b", True)),
    "a pattern": ("claude-x-1", SingleModel("anthropic", "claude-haiku-4-5")),
    "a pattern in other case": ("CLAUDE-X-1", SingleModel("anthropic", "claude-haiku-4-5")),
    "the most specific pattern": (
        "claude-sonnet-9",
        SingleModel("openrouter", "anthropic/claude-sonnet-4.5"),
    ),
    "one character weighs more than any run": ("claude-9", SingleModel("demo", "echo")),
    "a mapping whose combo is off gives way": ("o3-mini", NamedCombo(NAMED.combos["second"])),
    "the next mapping": ("o1", NamedCombo(NAMED.combos["team"])),
    "an exact combo before mappings": ("gpt-mapped", NamedCombo(NAMED.combos["gpt-mapped"])),
    "a disabled mapping": ("gpt-m9", SingleModel("openai", "gpt-m9")),
    "a mapping before prefixes": ("mine/mapped", NamedCombo(NAMED.combos["team"])),
    "a mapping before auto": ("auto/wild", NamedCombo(NAMED.combos["team"])),
    "a profile of auto": ("auto/coding", AutoRoute("coding")),
    "a name a provider has changed": (
        "nvidia/gpt-oss-120b",
        SingleModel("nvidia", "openai/gpt-oss-120b"),
    ),
    "another vendor's spelling": ("deepseek-v3-2", SingleModel("deepseek", "deepseek-v3.2")),
    "another vendor's spelling at the vendor": (
        "anthropic/claude-opus-4.1",
        SingleModel("anthropic", "claude-opus-4-1"),
    ),
    "a spelling that is right where it goes": (
        "ollama/gpt-oss:20b",
        SingleModel("ollama", "gpt-oss:20b"),
    ),
}


@pytest.mark.parametrize(("name", "meaning"), STANDS_FOR.values(), ids=STANDS_FOR)
def test_operators_give_names(name: str, meaning: Resolution) -> None:
    assert resolve(name, NAMED) == meaning


def test_an_alias_of_nobody_says_what_to_change() -> None:
    with pytest.raises(UnknownModel, match="'gone' stands for 'nobody/x'"):
        resolve("gone", NAMED)


def test_spellings_can_be_switched_off() -> None:
    plain = snapshot(spellings=False)
    assert resolve("deepseek-v3-2", plain) == SingleModel("openai", "deepseek-v3-2")


def test_auto_may_have_a_profile_by_default() -> None:
    configured = snapshot(autoRoutingDefaultVariant="cheap")
    assert resolve("auto", configured) == AutoRoute("cheap")


SCORES = {"claude-*": 28, "claude-?": 73, "*": -49, "gpt-4*-mini": 61}


@pytest.mark.parametrize(("pattern", "score"), SCORES.items(), ids=SCORES)
def test_patterns_are_weighed(pattern: str, score: int) -> None:
    assert specificity(pattern) == score


def test_a_model_may_be_spoken_to_in_another_api() -> None:
    added = CustomModel(provider="openai", id="gpt-x-pro", api_format="responses")
    world = snapshot(accounts=[account("openai", "a")], custom_models=[added])
    row = world.provider_for("openai", "gpt-x-pro")
    assert (row.dialect, row.chat_path) == (Dialect.OPENAI_RESPONSES, "/responses")
    assert world.provider_for("openai", "gpt-4o") is world.providers["openai"]
    assert "gpt-x-pro" in world.models(world.connections["a"])
