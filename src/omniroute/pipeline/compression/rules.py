"""The rules that condense English prose: one row each, in the order they are applied. 05 §7.6.

A rule never makes a text longer and never touches a word that carries meaning: no pattern matches
`not`, `never`, `only`, `unless`, `must` and their like. A blank in a pattern is any run of blanks
within a line; `^` in front is the beginning of a sentence or a line.
"""

from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

import regex
from msgspec import Struct

from omniroute.pipeline.compression.shielding import LIMIT_S

Intensity: TypeAlias = Literal["lite", "full", "ultra"]
Category: TypeAlias = Literal["filler", "context", "structural", "dedup", "terse", "ultra"]
Context: TypeAlias = Literal["all", "user", "system", "assistant"]

INTENSITIES: tuple[Intensity, ...] = ("lite", "full", "ultra")
"""From the gentlest to the strongest; each has all rules of those before it."""


class Rule(Struct, frozen=True, kw_only=True):
    """What is written in the place of what a pattern matches. `context` is whose words it is for.

    `min_intensity` is the gentlest strength it belongs to.
    """

    name: str
    pattern: str
    replacement: str = ""
    category: Category = "filler"
    min_intensity: Intensity = "lite"
    context: Context = "all"
    description: str


SHIELD = r"\U000f0000-\U000ffffd"
"""Characters that stand for spans no rule may touch, for use in a character class."""

_BLANKS = r"[ \t]+"
_START = r"(?P<start>(?<=[.!?]\s{1,3})|(?m:^)[ \t]*(?:[-*+][ \t]+)?)"
_NEVER_DENIED = r"(?<!\b(?:not|never|cannot|no|\w+n't) )"
# Only where an article cannot be what tells a reader that a clause begins, as in "the price an
# operator has set": after small words, what a sentence begins with, and infinitives.
_SMALL = (
    r"(?<=(?:[,;:(]\s|(?:\A|[.!?:]\s|\n)(?:[-*+] )?\w+(?<!s) |\bto \w+ |\b(?:of|in|on|at|by|for"
    r"|from|to|with|over|under|through|into|as|and|or|is|are|was|were|if|when|than|which|how|against|per"
    r"|between|after|before|until|within|without|about|during|since|because|while|where|whether"
    r"|returns?|uses?|using|then|not|only|never|unless|must|except|nor) ))"
)
_NOUN = (
    r"(?=(?!(?:few|little|lot|bit|number|couple|priori|posteriori|time|while|and|or|to|is|are|was"
    r"|were|has|in|of|for|must|may|can|should|will|not|with|by|second|minute|hour|day|week|month"
    r"|year|dozen|hundred|thousand|million|more|less|most|least|better|sooner|former|latter|who"
    r"|only|others?|ones?)\b)"
    rf"[a-z{SHIELD}])"
)


@cache
def compiled(pattern: str) -> "regex.Pattern[str]":
    """A rule's pattern as it is searched for: from the beginning of a word, in any case."""
    body = pattern.removeprefix("^").replace(" ", _BLANKS)
    front = _START if pattern.startswith("^") else r"(?<![\w-])"
    return regex.compile(rf"{front}(?P<found>{body})(?P<next>\p{{L}})?", regex.IGNORECASE)


def applied(rule: Rule, text: str) -> str:
    """The text after one rule; what began with a capital still does.

    Raises:
        TimeoutError: it takes too long to find what the rule is about.
    """
    return compiled(rule.pattern).sub(_written(rule.replacement), text, timeout=LIMIT_S)


def _written(replacement: str) -> "Callable[[regex.Match[str]], str]":
    def write(match: "regex.Match[str]") -> str:
        parts = match.groupdict(default="")
        capital = parts["found"].lstrip(" \t,")[:1].isupper()
        rest = replacement + parts["next"]
        return parts.get("start", "") + (rest[:1].upper() + rest[1:] if capital else rest)

    return write


def _filler(name: str, pattern: str, description: str) -> Rule:
    return Rule(name=name, pattern=pattern, description=description)


def _shorter(name: str, pattern: str, replacement: str) -> Rule:
    told = f"Say '{replacement}'."
    return Rule(
        name=name,
        pattern=rf"(?:{pattern})(?![\w-])",
        replacement=replacement,
        category="structural",
        description=told,
    )


def _short(word: str, replacement: str) -> Rule:
    return Rule(
        name=word,
        pattern=rf"{word}(?![\w-])",
        replacement=replacement,
        category="ultra",
        min_intensity="ultra",
        description=f"Abbreviate '{word}' to '{replacement}'.",
    )


RULES: tuple[Rule, ...] = (
    # Words without information
    _filler("hoping", "^I (?:was|am) hoping (?:that )?", "Drop what somebody hopes."),
    _filler("wanting", "^I (?:would like|want|need) you to ", "Drop that something is wanted."),
    _filler(
        "asking", "^(?:could|can|would|will) you (?:please |kindly )?(?=\\w[^?\n]*\\.)", "Ask."
    ),
    _filler("please", "(?:please|kindly) ", "Drop courtesy."),
    _filler("thanks", "^(?:many thanks|thanks|thank you)(?: in advance)?[.!]\\s*", "Drop thanks."),
    _filler("noting", "^(?:please )?(?:note|remember|keep in mind) that ", "Drop the pointing."),
    _filler(
        "important",
        "^it is (?:important|worth|useful) to (?:note|remember|keep in mind|mention) that ",
        "Drop the pointing.",
    ),
    _filler("should-be-noted", "^it should be noted that ", "Drop the pointing."),
    _filler(
        "asides",
        _NEVER_DENIED
        + "(?:basically|essentially|obviously|of course|as you know|in fact|needless to say),? "
        "(?=\\S)",
        "Drop asides.",
    ),
    _filler(
        "emphasis",
        _NEVER_DENIED + "(?:very|really|quite|extremely|simply) (?=\\w)",
        "Drop emphasis.",
    ),
    # Set-up clauses
    Rule(
        name="this-tool",
        pattern="^(?:this (?:tool|command|endpoint|function) (?:is used|can be used|allows you"
        "|lets you|enables you)|use this (?:tool|command|endpoint|function)(?: in order)?) to "
        "(?=\\w)",
        category="context",
        min_intensity="full",
        description="Begin with what it does.",
    ),
    Rule(
        name="can-be-seen",
        pattern="(?:which|that) (?:you can (?:see|find)|can be (?:seen|found)) "
        "(?=above|below|in |under |at )",
        category="context",
        description="Say where, not that it can be seen there.",
    ),
    Rule(
        name="participles",
        pattern=r"(?<=\w )(?<!\b(?:so|now|all|only|not|if|when|says?|said|means?|and|or|but|because"
        r"|where|then|what|as|than|after|before|while|until|unless|except|even|just) )"
        r"that (?:is|are) (?=[a-z]{3,}ed\b)",
        category="context",
        min_intensity="full",
        description="Let a participle stand alone.",
    ),
    # Shorter ways to say the same
    _shorter("in-order-to", "in order to", "to"),
    _shorter("ability", "(?:has|have) the ability to|(?:is|are) able to", "can"),
    _shorter("because", "due to the fact that|because of the fact that", "because"),
    _shorter("if", "in the event that|in case that", "if"),
    _shorter("now", "at this point in time|at the present time", "now"),
    _shorter("many", "a large number of|a great number of", "many"),
    _shorter("before", "prior to", "before"),
    _shorter("after", "subsequent to", "after"),
    _shorter("about", "with regard to|with respect to|in relation to|in regard to", "about"),
    _shorter("for", "for the purpose of|for the purposes of", "for"),
    _shorter("use", "make use of|utili[sz]e", "use"),
    _shorter("uses", "makes use of|utili[sz]es", "uses"),
    _shorter("using", "making use of|utili[sz]ing|by means of", "using"),
    _shorter("whether", "whether or not", "whether"),
    _shorter("until", "until such time as", "until"),
    _shorter("except", "with the exception of", "except"),
    _shorter("most", "the majority of", "most"),
    _shorter("every", "each and every", "every"),
    _shorter("roughly", "approximately", "about"),
    _shorter("despite", "in spite of the fact that|despite the fact that", "although"),
    _shorter("while", "during the time that", "while"),
    # What was said before
    Rule(
        name="said-before",
        pattern="(?:once more, |again, )?as (?:I )?(?:already )?(?:stated|mentioned|said|noted) "
        "(?:before|above|earlier|previously|in my (?:earlier|previous|last) message),? ",
        category="dedup",
        description="Drop that something was said before.",
    ),
    # Articles; those that say how often or how many stay
    Rule(
        name="article-first",
        pattern=r"^(?:the|an?) (?!\w+ (?:the|an?) )" + _NOUN,
        category="terse",
        min_intensity="full",
        description="Drop the article a sentence begins with.",
    ),
    Rule(
        name="article",
        pattern=_SMALL + "(?-i:the|an?) " + _NOUN,
        category="terse",
        min_intensity="full",
        description="Drop an article within a sentence, where the sentence stays as clear.",
    ),
    # Abbreviations everybody writes
    _short("repository", "repo"),
    _short("configuration", "config"),
    _short("application", "app"),
    _short("database", "DB"),
    _short("directory", "dir"),
    _short("parameters", "params"),
    _short("authentication", "auth"),
    _short("documentation", "docs"),
    _short("information", "info"),
    _short("environment", "env"),
)
"""Every rule."""


def rules_for(intensity: Intensity, context: Context = "all") -> tuple[Rule, ...]:
    """The rules of a strength, for what somebody in a role has written."""
    reach = INTENSITIES.index(intensity)
    return tuple(
        rule
        for rule in RULES
        if INTENSITIES.index(rule.min_intensity) <= reach and rule.context in ("all", context)
    )
