"""Which of several choices a sentence names, by the words in it."""

import re
from collections.abc import Mapping
from typing import TypeVar

ChoiceT = TypeVar("ChoiceT")


def named(text: str, choices: Mapping[ChoiceT, str], default: ChoiceT) -> ChoiceT:
    """The first choice with a word in the text. Words stand between bars and match beginnings:
    `embed` is in `embeddings`, and `image` is not in `pilgrimage`."""
    lowered = text.lower()
    return next(
        (choice for choice, words in choices.items() if re.search(rf"(?<!\w)(?:{words})", lowered)),
        default,
    )
