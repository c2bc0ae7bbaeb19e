"""Condensing: what each rule does, what no rule may touch, and that meaning stays."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.pipeline.compression import shielding
from omniroute.pipeline.compression.condensing import condensed
from omniroute.pipeline.compression.rules import (
    INTENSITIES,
    RULES,
    Intensity,
    Rule,
    applied,
    rules_for,
)
from omniroute.pipeline.compression.shielding import MOST, SPANS, shielded, unshielded

SAMPLES: dict[str, tuple[str, str]] = {
    "hoping": ("I was hoping that it works.", "It works."),
    "wanting": ("Hi. I would like you to list files.", "Hi. List files."),
    "asking": ("Could you please list files.", "List files."),
    "please": ("Yes, please list files.", "Yes, list files."),
    "thanks": ("List files. Thanks in advance! Bye.", "List files. Bye."),
    "noting": ("Please note that it is slow.", "It is slow."),
    "important": ("It is important to note that it is slow.", "It is slow."),
    "should-be-noted": ("It should be noted that it is slow.", "It is slow."),
    "asides": ("It is basically slow.", "It is slow."),
    "emphasis": ("It is very slow.", "It is slow."),
    "this-tool": ("This tool can be used to list files.", "List files."),
    "can-be-seen": ("Errors that can be seen in logs.", "Errors in logs."),
    "participles": ("Files that are needed.", "Files needed."),
    "in-order-to": ("In order to win, run.", "To win, run."),
    "ability": ("It has the ability to list.", "It can list."),
    "because": ("Slow due to the fact that it waits.", "Slow because it waits."),
    "if": ("In the event that it fails, wait.", "If it fails, wait."),
    "now": ("It works at this point in time.", "It works now."),
    "many": ("A large number of files.", "Many files."),
    "before": ("Wait prior to asking.", "Wait before asking."),
    "after": ("Wait subsequent to asking.", "Wait after asking."),
    "about": ("Say with regard to files.", "Say about files."),
    "for": ("Used for the purpose of listing.", "Used for listing."),
    "use": ("Make use of files.", "Use files."),
    "uses": ("It utilises files.", "It uses files."),
    "using": ("Ask by means of files.", "Ask using files."),
    "whether": ("Say whether or not it works.", "Say whether it works."),
    "until": ("Wait until such time as it works.", "Wait until it works."),
    "except": ("All with the exception of files.", "All except files."),
    "most": ("The majority of files.", "Most files."),
    "every": ("Each and every file.", "Every file."),
    "roughly": ("It takes approximately long.", "It takes about long."),
    "despite": ("Slow despite the fact that it runs.", "Slow although it runs."),
    "while": ("Wait during the time that it runs.", "Wait while it runs."),
    "said-before": ("As I already mentioned above, it works.", "It works."),
    "article-first": ("The file is open.", "File is open."),
    "article": ("Look at the file of a user.", "Look at file of user."),
    "repository": ("Clone the repository.", "Clone the repo."),
    "configuration": ("Read the configuration.", "Read the config."),
    "application": ("Start the application.", "Start the app."),
    "database": ("Open the database.", "Open the DB."),
    "directory": ("Open the directory.", "Open the dir."),
    "parameters": ("Name the parameters.", "Name the params."),
    "authentication": ("Without authentication.", "Without auth."),
    "documentation": ("Read the documentation.", "Read the docs."),
    "information": ("Give information.", "Give info."),
    "environment": ("Read the environment.", "Read the env."),
}


def test_every_rule_has_a_sample() -> None:
    assert list(SAMPLES) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_does_what_it_says_once_and_not_to_what_is_quoted(rule: Rule) -> None:
    before, after = SAMPLES[rule.name]
    assert applied(rule, before) == after
    assert applied(rule, after) == after
    for quoted in (f"`{before}`", f'"{before}"', f"```\n{before}\n```"):
        assert condensed(quoted, "ultra") == quoted


KEPT: dict[str, str] = {
    "what denies emphasis": "It is not really fast, never very fast, and isn't quite done.",
    "letters that are names": "Option A fails, B and a are equal, and a is less.",
    "how often": "Ask once a second, twice a day and three times a week.",
    "how many": "Only a few of them, a little, and a lot more.",
    "what a clause begins with": "Prices an operator has stated, and proxies the gateway knows.",
    "a superlative": "Set the most it may cost, the only one of the others.",
    "what that stands for": "Only that is needed. So that is used.",
    "possession": "It's the user's, and they don't.",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_would_say_something_else_stays(text: str) -> None:
    assert condensed(text, "full") == text


TIDY: dict[str, tuple[str, str]] = {
    "blanks": ("one   two\t three", "one two three"),
    "before punctuation": ("one , two : three .", "one, two: three."),
    "repeated": ("Stop!!! Why??", "Stop! Why?"),
    "empty lines": ("one\n\n\n\n\ntwo", "one\n\ntwo"),
    "ends": ("  one \n", "one"),
    "ends of lines": ("one   \ntwo", "one\ntwo"),
    "indentation stays": ("- one\n    - two\n  three", "- one\n    - two\n  three"),
    "names with a dot stay": ("a .env and a :memory: file", "a .env and a :memory: file"),
}


@pytest.mark.parametrize(("text", "tidy"), TIDY.values(), ids=TIDY)
def test_what_is_tidied(text: str, tidy: str) -> None:
    assert condensed(text, "lite") == tidy


SPAN_SAMPLES: dict[str, str] = {
    "front matter": "---\nthe title: a thing\n---",
    "fenced code": "```py\nthe = a  ,  b\n```",
    "indented code": "    the = a  ,  b",
    "heading": "## The very   heading",
    "table row": "| the cell  | a cell |",
    "error": "ValueError: the thing  is a thing",
    "math": "$the + a$",
    "environment": "\\begin{x}\nthe  a\n\\end{x}",
    "inline code": "`the  thing`",
    "link": "[the very link](https://a.example/the)",
    "address": "https://a.example/the/thing?a=the",
    "e-mail": "the.user@a.example",
    "quotation": '"the  very thing"',
    "tag": "<the a='b'>",
    "braces": "{the  thing}",
    "path": "/the/a.txt",
    "call": "the(a , b)",
    "dotted name": "the.a.thing",
    "option": "--the-thing=a",
    "variable": "$the",
    "name": "the_thing",
    "constant": "THE",
    "number": "1,234.5",
}


def test_every_kind_of_span_has_a_sample() -> None:
    assert list(SPAN_SAMPLES) == list(SPANS)


@pytest.mark.parametrize("kind", SPANS)
def test_spans_stay_as_they_are(kind: str) -> None:
    span = SPAN_SAMPLES[kind]
    found = shielded(span)
    assert found is not None
    assert found[1] == [span]
    text = f"Please note that it is basically the very same.\n{span}\nIn order to win, run."
    if kind != "front matter":  # which stands at the beginning
        assert f"\n{span}\n" in condensed(text, "ultra")


def test_what_cannot_be_shielded_is_left_alone() -> None:
    for text in ("please \U000f0000 wait", "please " + "7 " * (MOST + 1)):
        assert condensed(text) == text


MEANING = (
    *("not", "never", "only", "unless", "must", "except", "without", "no", "none", "nor", "cannot"),
    *("may", "should", "always", "before", "after", "all", "each", "every", "but", "isn't"),
)
FILL = (
    *("the", "a", "an", "please", "very", "really", "basically", "that is", "that are", "which"),
    *("in order to", "is able to", "note that", "file", "files", "needed", "list", "user", "it is"),
    *(
        "due to the fact that",
        "prior to",
        "and",
        "or",
        ",",
        ".",
        "!",
        "\n",
        "  ",
        "- ",
        "This tool",
    ),
    *("allows you to", "I would like you to", "Could you", "thanks", "of course", "repository"),
)
PROTECTED = tuple(span for span in SPAN_SAMPLES.values() if "\n" not in span and "|" not in span)
TEXTS = st.lists(st.sampled_from((*MEANING, *FILL, *FILL)), max_size=30).map(" ".join)
MIXED = st.lists(
    st.sampled_from((*FILL, *PROTECTED, "`a`", "https://x.example/a", "v1.2.3")), max_size=20
).map(" ".join)


def meaning(text: str) -> list[str]:
    """The words that carry meaning, in their order."""
    return [word for word in re.findall(r"[\w']+", text.lower()) if word in MEANING]


@pytest.mark.parametrize("intensity", INTENSITIES)
@given(text=TEXTS)
def test_words_that_carry_meaning_stay(intensity: Intensity, text: str) -> None:
    said = text.replace("prior to", "before")
    assert meaning(condensed(text, intensity)) == meaning(said)


@pytest.mark.parametrize("intensity", INTENSITIES)
@given(text=MIXED)
def test_doing_it_again_changes_nothing_and_spans_stay(intensity: Intensity, text: str) -> None:
    short = condensed(text, intensity)
    assert len(short) <= len(text)
    assert condensed(short, intensity) == short
    found, before = shielded(short), shielded(text)
    assert found is not None
    assert before is not None
    assert unshielded(*before) == text
    assert [one.strip() for one in before[1]] == [one.strip() for one in found[1]]


@given(text=st.text(max_size=200))
def test_any_text_can_be_condensed(text: str) -> None:
    assert len(condensed(text)) <= len(text)


def test_strengths_grow() -> None:
    sizes = [len(rules_for(intensity)) for intensity in INTENSITIES]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(RULES)


def test_what_takes_too_long_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shielding, "LIMIT_S", 0.000_001)
    text = "please " + "a " * 25_000
    assert condensed(text) == text


def test_what_does_not_settle_is_left_alone() -> None:
    text = "a " * 5_000
    assert condensed(text) == text
