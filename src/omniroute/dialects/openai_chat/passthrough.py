"""A client's own body for an upstream of the same dialect: only what must change does."""

import re

from msgspec import Raw

from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.raw_json import RawObject, addressed, raw, raw_object, raw_objects, says

# A search is cheap, taking the messages apart is not.
_EMPTY_NAME = re.compile(rb'"name"\s*:\s*""')
_DEVELOPER = re.compile(rb'"role"\s*:\s*"developer"')
_REASONING = re.compile(rb'"reasoning(?:_content)?"\s*:')


def patch_request(body: bytes, target: TargetFacts) -> bytes:
    """See `Codec.patch_request`. The body is one that `decode_request` has accepted."""
    fields = addressed(body, target)
    _patch_stream_options(fields, target)
    _patch_limit(fields, target)
    _patch_messages(fields, target)
    return bytes(raw(fields))


def _patch_stream_options(fields: RawObject, target: TargetFacts) -> None:
    if not (target.stream and target.stream_usage):
        # Upstreams refuse the option on a whole reply, and some refuse it always.
        fields.pop("stream_options", None)
        return
    options: RawObject = {}
    if "stream_options" in fields and not says(fields, "stream_options", b"null"):
        options = raw_object(fields["stream_options"])
    if not says(options, "include_usage", b"true"):
        fields["stream_options"] = raw({**options, "include_usage": True})


def _patch_limit(fields: RawObject, target: TargetFacts) -> None:
    """One name for the output limit, the one the upstream reads, at its place in the body."""
    wanted = "max_completion_tokens" if target.max_completion_tokens else "max_tokens"
    for old in ("max_tokens", "max_output_tokens"):
        if old == wanted or old not in fields:
            continue
        if "max_completion_tokens" in fields or wanted in fields:
            del fields[old]
        else:
            items = [(wanted if name == old else name, item) for name, item in fields.items()]
            fields.clear()
            fields.update(items)


def _patch_messages(fields: RawObject, target: TargetFacts) -> None:
    messages = fields["messages"]
    nameless = _EMPTY_NAME.search(messages) is not None
    developer = not target.developer_role and _DEVELOPER.search(messages) is not None
    reasoning = not target.reasoning_history and _REASONING.search(messages) is not None
    if not (nameless or developer or reasoning):
        return
    patched = raw_objects(messages)
    for message in patched:
        if says(message, "name", b'""'):
            del message["name"]
        if developer and says(message, "role", b'"developer"'):
            message["role"] = Raw(b'"system"')
        if reasoning:
            message.pop("reasoning_content", None)
            message.pop("reasoning", None)
    fields["messages"] = raw(patched)
