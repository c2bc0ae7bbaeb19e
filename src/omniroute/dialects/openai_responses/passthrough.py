"""A client's own body for an upstream of the same dialect: only what must change does."""

import msgspec

from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.openai_responses.wire import MEMORY, SEALED_REASONING
from omniroute.dialects.raw_json import RawObject, addressed, raw


def patch_request(body: bytes, target: TargetFacts) -> bytes:
    """See `Codec.patch_request`. The gateway remembers, so that any provider can go on."""
    fields = addressed(body, target)
    for name in MEMORY:
        if name != "store":
            fields.pop(name, None)
    if "store" not in fields or bytes(fields["store"]) != b"false":
        fields["store"] = raw(False)
        if target.max_completion_tokens or "reasoning" in fields:
            _include_thinking(fields)
    return bytes(raw(fields))


def _include_thinking(fields: RawObject) -> None:
    """Without memory upstream, thinking has to travel with the conversation."""
    given = msgspec.json.decode(fields["include"]) if "include" in fields else None
    included = given if isinstance(given, list) else []
    if SEALED_REASONING not in included:
        fields["include"] = raw([*included, SEALED_REASONING])
