"""How demanding a request is, and what price class of model it asks for. Source: 05 §3.9."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from omniroute.chat import ChatRequest, Text
from omniroute.routing.targets import Leaf

PriceTier: TypeAlias = Literal["free", "cheap", "premium"]

TIERS: tuple[PriceTier, ...] = ("free", "cheap", "premium")
CHEAP_UP_TO = 1_000_000
"""Micro-USD per million input tokens up to which a model counts as cheap: $1."""

_LONGEST_READ = 20_000
"""Characters of a conversation that are looked at: its end says what is asked."""
_FENCES = re.compile(r"```")
_INLINE = re.compile(r"`[^`\n]+`")
_LANGUAGES = re.compile(
    r"\b(?:def|class|function|const|import|return|public|static|void|fn|impl|select|from|where"
    r"|python|javascript|typescript|rust|golang|java|sql|html|css|bash)\b",
    re.IGNORECASE,
)
_LATEX = re.compile(r"\$[^$\n]+\$|\\(?:frac|sum|int|sqrt|alpha|beta|begin)\b")
_SYMBOLS = re.compile(
    r"[∑∫√∂∇≤≥≠±∞∈∀∃]|\b(?:theorem|proof|integral|derivative|matrix|equation)\b", re.IGNORECASE
)
_REASONS = re.compile(
    r"\b(?:because|therefore|step by step|explain why|prove|compare|trade-?offs?|consider"
    r"|analy[sz]e|evaluate|derive|reason)\b",
    re.IGNORECASE,
)
_DOMAINS = re.compile(
    r"\b(?:diagnosis|patient|clinical|dosage|contract|liability|statute|plaintiff|hypothesis"
    r"|molecule|genome|quantum|equity|derivatives|portfolio|amorti[sz]ation|balance sheet)\b",
    re.IGNORECASE,
)
_CONTEXT_STEPS = ((64_000, 15), (32_000, 12), (16_000, 9), (8_000, 6), (4_000, 4), (1_000, 2))
_TOOL_STEPS = ((20, 10), (10, 8), (5, 6), (2, 4), (0, 2))


def specificity(request: ChatRequest, input_tokens: int) -> int:
    """How demanding a request is, 0-100: code, mathematics, reasoning, length, tools, subject."""
    text = _text(request)
    code = 5 * (len(_FENCES.findall(text)) // 2) + 0.5 * len(_INLINE.findall(text))
    code += 2 * len(set(_LANGUAGES.findall(text.lower())))
    maths = 4 * len(_LATEX.findall(text)) + 1.5 * len(_SYMBOLS.findall(text))
    reasons = 2 * len(_REASONS.findall(text)) + min(5, len(request.messages))
    subjects = 2 * len(_DOMAINS.findall(text))
    return round(
        min(25, code)
        + min(20, maths)
        + min(20, reasons)
        + _step(_CONTEXT_STEPS, input_tokens)
        + _step(_TOOL_STEPS, len(request.tools))
        + min(10, subjects)
    )


def recommended_tier(score: int) -> PriceTier:
    """The cheapest class of model that will do."""
    if score <= 20:
        return "free"
    return "cheap" if score <= 65 else "premium"


def tier_of(leaf: Leaf) -> PriceTier | None:
    """The price class of a target; None when no price is known."""
    if leaf.input_price is None:
        return None
    if leaf.input_price == 0:
        return "free"
    return "cheap" if leaf.input_price <= CHEAP_UP_TO else "premium"


def _step(steps: Sequence[tuple[int, int]], value: int) -> int:
    return next((points for above, points in steps if value > above), 0)


def _text(request: ChatRequest) -> str:
    """The newest words of a conversation, up to a limit."""
    pieces: list[str] = []
    room = _LONGEST_READ
    for message in reversed(request.messages):
        for part in message.parts:
            if isinstance(part, Text) and room > 0:
                pieces.append(part.text[-room:])
                room -= len(part.text)
    return "\n".join(pieces)
