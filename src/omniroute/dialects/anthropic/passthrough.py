"""A client's own body for an upstream of the same dialect: only what must change does."""

import re

import msgspec
from msgspec import Raw

from omniroute.dialects.anthropic.wire import DEFAULT_MAX_TOKENS
from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.raw_json import RawObject, addressed, raw, raw_objects, says

# A search is cheap, taking the messages apart is not.
_SYSTEM_TURN = re.compile(rb'"role"\s*:\s*"(?:system|developer)"')


def patch_request(body: bytes, target: TargetFacts) -> bytes:
    """See `Codec.patch_request`. The body is one that `decode_request` has accepted."""
    fields = addressed(body, target)
    if "max_tokens" not in fields or says(fields, "max_tokens", b"null"):
        cap = target.max_output_tokens
        fields["max_tokens"] = raw(min(DEFAULT_MAX_TOKENS, cap or DEFAULT_MAX_TOKENS))
    if _SYSTEM_TURN.search(fields["messages"]):
        _hoist_system_turns(fields)
    return bytes(raw(fields))


def _hoist_system_turns(fields: RawObject) -> None:
    """The upstream knows no system role inside `messages`; their text moves to `system`."""
    blocks = _as_blocks(fields, "system")
    kept: list[RawObject] = []
    for turn in raw_objects(fields["messages"]):
        if says(turn, "role", b'"system"', b'"developer"'):
            blocks += _as_blocks(turn, "content")
        else:
            kept.append(turn)
    fields["messages"] = raw(kept)
    if blocks:
        fields["system"] = raw(blocks)


def _as_blocks(fields: RawObject, name: str) -> list[Raw]:
    if name not in fields or says(fields, name, b"null", b'""'):
        return []
    content = bytes(fields[name])
    if content.startswith(b"["):
        return msgspec.json.decode(content, type=list[Raw])
    return [Raw(b'{"type":"text","text":%b}' % content)]
