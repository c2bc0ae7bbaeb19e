"""Spans no rule may touch: code, addresses, names of things, numbers, quotations. 05 §7.6."""

from collections.abc import Mapping

import regex

FIRST = 0xF0000
LIMIT_S = 1.0
"""How long one pattern may look at one text."""

MOST = 0xFFFE
"""How many spans one text can have: the characters of a private plane, one for each."""

SPANS: Mapping[str, str] = {
    "front matter": r"\A---\n.*?\n---(?=\n|\Z)",
    # One that is never closed reaches to the end.
    "fenced code": r"(?m:^)[ \t]*(?P<fence>`{3,}|~{3,}).*?(?:\n[ \t]*(?P=fence)[`~]*|\Z)",
    "indented code": r"(?m:^)(?:\t| {4,})(?![-*+] )[^\n]+",
    "heading": r"(?m:^)#{1,6} [^\n]+",
    "table row": r"(?m:^)[ \t]*\|[^\n]+",
    "error": r"(?m:^)[^\n]*\b\w*(?:Error|Exception|Traceback)\b[^\n]*:[^\n]*",
    "math": r"\$\$[^$]+\$\$|\$[^$\n]+\$|\\\([^\n]*?\\\)|\\\[[^\n]*?\\\]",
    "environment": r"\\begin\{(?P<environment>[^{}\n]+)\}.*?(?:\\end\{(?P=environment)\}|\Z)",
    "inline code": r"(?P<tick>`+)[^`\n]+(?P=tick)",
    "link": r"!?\[[^\]\n]*\]\([^)\n]*\)",
    "address": r"\b\w[\w+.-]*://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]",
    "e-mail": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "quotation": r"\"[^\"\n]*\"|“[^”\n]*”|\u2018[^\u2019\n]*\u2019|«[^»\n]*»"
    r"|(?<!\w)'[^'\n]+'(?!\w)",
    "tag": r"</?[A-Za-z][^<>\n]*>",
    "braces": r"\{[^{}\n]*\}",
    "path": r"(?:\b[A-Za-z]:\\|(?<![\w/])(?:~|\.{0,2})/)[\w./\\{}*@+-]*[\w/\\}*]"
    r"|\b[\w.@-]+(?:/[\w.{}*@-]+)*/[\w.{}*@-]*[\w}*]",
    "call": r"\b[A-Za-z_][\w.]*\([^()\n]*\)",
    "dotted name": r"\b\w+(?:[.:]{1,2}\w+)+\b",
    "option": r"(?<![\w-])--?[A-Za-z][\w-]*(?:=\S*[\w/])?",
    "variable": r"[$%]\w+%?",
    "name": r"\b\w*(?:_\w|\p{Ll}\p{Lu})\w*\b|\b(?:\w+-)+\w+\b",
    "constant": r"\b(?-i:\p{Lu}[\p{Lu}\d]+)\b",
    "number": r"[#~<>=±]*\d(?:[\w.,:%/-]*[\w%])?",
}
"""What each kind of span looks like; the first that begins earliest holds."""

_SPAN = regex.compile("|".join(f"(?:{pattern})" for pattern in SPANS.values()), regex.DOTALL)
_SHIELDS = regex.compile(f"[{chr(FIRST)}-{chr(FIRST + MOST - 1)}]")


def shielded(text: str) -> tuple[str, list[str]] | None:
    """A text with one character in the place of every span, and those spans.

    None where that cannot be done: it has such characters itself, or too many spans.

    Raises:
        TimeoutError: it takes too long to find them.
    """
    if _SHIELDS.search(text) is not None:
        return None
    spans: list[str] = []

    def shield(match: "regex.Match[str]") -> str:
        spans.append(match[0])
        return chr(FIRST + (len(spans) - 1) % MOST)

    out = _SPAN.sub(shield, text, timeout=LIMIT_S)
    return (out, spans) if len(spans) <= MOST else None


def unshielded(text: str, spans: list[str]) -> str:
    """A text with its spans back in their places."""
    return _SHIELDS.sub(lambda match: spans[ord(match[0]) - FIRST], text)
