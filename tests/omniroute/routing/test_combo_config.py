"""What a combo may be told, and which of several words about it counts."""

from typing import Any

import msgspec
import pytest

from omniroute.routing.combo_config import (
    DEFAULTS,
    CompositeTiers,
    Tier,
    effective,
    read_config,
    tier_problems,
)
from omniroute.storage.records.configuration import Combo

WEIGHTS = {
    "quota": 0.2,
    "health": 0.2,
    "costInv": 0.2,
    "latencyInv": 0.2,
    "taskFit": 0.1,
    "stability": 0.05,
}

REFUSED: dict[str, dict[str, Any]] = {
    "an unknown key": {"maxRetrys": 1},
    "too many retries": {"maxRetries": 11},
    "half a retry": {"maxRetries": 1.5},
    "a negative delay": {"retryDelayMs": -1},
    "no slot": {"concurrencyPerModel": 0},
    "an impatient queue": {"queueTimeoutMs": 999},
    "a timeout under a second": {"timeoutMs": 999},
    "a threshold of all": {"handoffThreshold": 0.95},
    "eleven handoff providers": {"handoffProviders": ["p"] * 11},
    "an unknown strategy": {"strategy": "luck"},
    "an unknown compression": {"compressionMode": "zip"},
    "a budget of nothing": {"budgetCap": 0},
    "weights without one of the six": {"weights": {"quota": 1}},
    "a weight of an unknown factor": {"weights": {**WEIGHTS, "charm": 0.1}},
    "a weight over one": {"weights": {**WEIGHTS, "quota": 1.1}},
    "an unknown way to nest": {"nestedMode": "deep"},
    "a hedge before anything could come": {"hedgeAfterMs": 49},
    "tiers without a tier": {"compositeTiers": {"defaultTier": "a", "tiers": {}}},
    "an unknown key in a tier": {
        "compositeTiers": {"defaultTier": "a", "tiers": {"a": {"stepId": "s", "rank": 1}}}
    },
}


@pytest.mark.parametrize("written", REFUSED.values(), ids=REFUSED)
def test_what_cannot_hold_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_config(written)


def test_null_says_nothing_and_numbers_may_be_texts() -> None:
    assert read_config({"maxRetries": None, "weights": None}) == DEFAULTS
    assert read_config({"maxRetries": "4", "handoffThreshold": "0.5"}).max_retries == 4


def test_factors_without_a_weight_count_nothing() -> None:
    weights = read_config({"weights": WEIGHTS}).weights
    assert weights is not None
    assert (weights.tier_priority, weights.specificity_match, weights.tier_affinity) == (0.05, 0, 0)


def combo(config: dict[str, Any]) -> Combo:
    return Combo(id="c", name="c", config=config)


DEFAULT_TIERS = {"defaultTier": "a", "tiers": {"a": {"stepId": "s"}}}
LAYERS: dict[str, tuple[dict[str, Any], str | None, dict[str, Any], int]] = {
    "nothing said: the default": ({}, "openai", {}, 0),
    "the setting for all": ({"comboDefaults": {"maxRetries": 2}}, "openai", {}, 2),
    "the provider over the setting": (
        {"comboDefaults": {"maxRetries": 2}, "providerOverrides": {"openai": {"maxRetries": 3}}},
        "openai",
        {},
        3,
    ),
    "another provider's words do not count": (
        {"providerOverrides": {"openai": {"maxRetries": 3}}},
        "gemini",
        {},
        0,
    ),
    "no provider yet": ({"providerOverrides": {"openai": {"maxRetries": 3}}}, None, {}, 0),
    "the combo over all": (
        {"comboDefaults": {"maxRetries": 2}, "providerOverrides": {"openai": {"maxRetries": 3}}},
        "openai",
        {"maxRetries": 4},
        4,
    ),
    "zero is a word": ({"comboDefaults": {"maxRetries": 2}}, "openai", {"maxRetries": 0}, 0),
    "null is none": ({"comboDefaults": {"maxRetries": 2}}, "openai", {"maxRetries": None}, 2),
    "an invalid word does not hide a valid one": (
        {"comboDefaults": {"maxRetries": 2}},
        "openai",
        {"maxRetries": 99, "old": True},
        2,
    ),
    "a setting that is no object": ({"comboDefaults": 7, "providerOverrides": []}, "openai", {}, 0),
    "tiers in a setting": ({"comboDefaults": {"compositeTiers": DEFAULT_TIERS}}, "openai", {}, 0),
}


@pytest.mark.parametrize(("settings", "provider", "config", "retries"), LAYERS.values(), ids=LAYERS)
def test_the_nearest_word_counts(
    settings: dict[str, Any], provider: str | None, config: dict[str, Any], retries: int
) -> None:
    made = effective(settings, provider, combo(config))
    assert (made.max_retries, made.composite_tiers) == (retries, None)


TIERS: dict[str, tuple[str, dict[str, tuple[str, str | None]], list[str]]] = {
    "a chain": ("a", {"a": ("s1", "b"), "b": ("s2", None)}, []),
    "an unknown default": ("z", {"a": ("s1", None)}, ["defaultTier"]),
    "an unknown step": ("a", {"a": ("s9", None)}, ["tiers.a.stepId"]),
    "a step in two tiers": ("a", {"a": ("s1", "b"), "b": ("s1", None)}, ["tiers.b.stepId"]),
    "a fallback to itself": ("a", {"a": ("s1", "a")}, ["tiers.a.fallbackTier"]),
    "an unknown fallback": ("a", {"a": ("s1", "z")}, ["tiers.a.fallbackTier"]),
    "a ring": (
        "a",
        {"a": ("s1", "b"), "b": ("s2", "a")},
        ["tiers.a.fallbackTier", "tiers.b.fallbackTier"],
    ),
    "a way into a ring": (
        "a",
        {"a": ("s1", "b"), "b": ("s2", "c"), "c": ("s3", "b")},
        ["tiers.b.fallbackTier", "tiers.c.fallbackTier"],
    ),
}


@pytest.mark.parametrize(("first", "rows", "fields"), TIERS.values(), ids=TIERS)
def test_tiers_must_lead_somewhere(
    first: str, rows: dict[str, tuple[str, str | None]], fields: list[str]
) -> None:
    tiers = CompositeTiers(
        default_tier=first,
        tiers={name: Tier(step_id=s, fallback_tier=f) for name, (s, f) in rows.items()},
    )
    problems = tier_problems(tiers, ["s1", "s2", "s3"])
    assert [field for field, _ in problems] == [f"config.compositeTiers.{one}" for one in fields]
