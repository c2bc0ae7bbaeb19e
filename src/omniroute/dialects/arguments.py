"""Tool arguments: JSON text in some dialects, a JSON object in others."""

from typing import Any

import msgspec
from msgspec import Raw

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def is_object(text: str) -> bool:
    """Whether `text` is one whole JSON object."""
    if not text.rstrip().endswith("}"):
        return False
    try:
        _OBJECT.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def input_object(text: str) -> Raw | dict[str, Any]:
    """The `input` of a call, its bytes as the model wrote them.

    Text that is no JSON object is kept under `_raw` rather than lost.
    """
    text = text.strip()
    if not text:
        return {}
    return Raw(text.encode(errors="replace")) if is_object(text) else {"_raw": text}
