"""A client's own body for an upstream of the same dialect: only what must change does."""

from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.raw_json import raw, raw_object, says


def patch_request(body: bytes, target: TargetFacts) -> bytes:
    """See `Codec.patch_request`. Without a word on it, this dialect streams."""
    fields = {name: item for name, item in raw_object(body).items() if not name.startswith("_")}
    fields["model"] = raw(target.model)
    streams = "stream" not in fields or says(fields, "stream", b"true", b"null")
    if target.stream is not streams:
        fields["stream"] = raw(target.stream)
    return bytes(raw(fields))
