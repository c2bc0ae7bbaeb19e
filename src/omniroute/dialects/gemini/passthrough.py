"""A client's own body for an upstream of the same dialect: as it came; the path says the rest."""

from omniroute.dialects.codec import TargetFacts
from omniroute.dialects.raw_json import raw, raw_object


def patch_request(body: bytes, target: TargetFacts) -> bytes:
    """See `Codec.patch_request`."""
    fields = raw_object(body)
    if "model" not in fields and not any(name.startswith("_") for name in fields):
        return body
    kept = {name: item for name, item in fields.items() if not name.startswith("_")}
    if "model" in kept:
        kept["model"] = raw(f"models/{target.model}")
    return bytes(raw(kept))
