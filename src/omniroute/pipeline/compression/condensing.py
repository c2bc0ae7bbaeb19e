"""Condensing prose: the rules, applied around what must not be touched. 05 §7.6, 03 §7."""

import regex

from omniroute.pipeline.compression.rules import Context, Intensity, applied, rules_for
from omniroute.pipeline.compression.shielding import shielded, unshielded

_TIDY = (
    (regex.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), " "),
    (regex.compile(r"(?m:[ \t]+$)"), ""),
    (regex.compile(r"(?<=\S)[ \t]+(?=[,.;:!?]+(?:\s|\Z))"), ""),
    (regex.compile(r"([!?])\1+"), r"\1"),
    (regex.compile(r"\n{3,}"), "\n\n"),
)
"""Runs of blanks, blanks before punctuation, repeated punctuation, and empty lines."""


MOST_ROUNDS = 20
"""How often the rules are applied; what is not settled then is no prose and stays as it is."""


def condensed(text: str, intensity: Intensity = "full", context: Context = "all") -> str:
    """The text in fewer characters, or the text itself where nothing makes it shorter.

    Code, addresses, numbers, names and quotations stay as they are. Doing it again changes
    nothing.

    Args:
        context: whose words these are, for rules that are not for everybody's.
    """
    try:
        return _condensed(text, intensity, context)
    except TimeoutError:  # whatever somebody has written, nobody waits for it
        return text


def _condensed(text: str, intensity: Intensity, context: Context) -> str:
    found = shielded(text)
    if found is None:
        return text
    short, spans = found
    before, short = short + " ", short.strip()
    rounds = 0
    while len(short) < len(before):
        if rounds == MOST_ROUNDS:
            return text
        before, short = short, _once(short, intensity, context)
        rounds += 1
    # What a rule removes may have stood between a word and what shields it.
    out = unshielded(before, spans)
    return out if out and len(out) < len(text) else text


def _once(text: str, intensity: Intensity, context: Context) -> str:
    for rule in rules_for(intensity, context):
        text = applied(rule, text)
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text.strip()
