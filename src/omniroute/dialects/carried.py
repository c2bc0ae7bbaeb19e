"""Opaque state of one provider on its way through a client that speaks another's dialect.

A client returns signatures and redacted thinking as it got them. Where the dialect it speaks is
not the one that wrote them, they travel tagged with their origin, so that they find their way
back to where they mean something, and are never shown to anybody else.
"""

from omniroute.chat import Dialect

_TAG = "omniroute."
# As it stands in JSON, and where a client insists on base64: the first nine bytes of the tag.
_MARKS = (b'"omniroute.', b'"b21uaXJvdXRl')
_ORIGINS = {str(dialect): dialect for dialect in Dialect}


def tagged(opaque: str, origin: Dialect | None, carrier: Dialect) -> str:
    """Opaque state as a client of `carrier` gets it."""
    return opaque if origin in (None, carrier) else f"{_TAG}{origin}.{opaque}"


def is_tagged(value: str) -> bool:
    """Whether a value is somebody's opaque state on its way through here."""
    return value.startswith(_TAG)


def holds_foreign(body: bytes) -> bool:
    """Whether a client's body may carry state of another provider than its dialect's."""
    return any(mark in body for mark in _MARKS)


def untagged(value: str, carrier: Dialect) -> tuple[str, Dialect]:
    """Opaque state as a client of `carrier` returned it, and whose it is."""
    if value.startswith(_TAG):
        name, dot, opaque = value.removeprefix(_TAG).partition(".")
        if dot and name in _ORIGINS:
            return opaque, _ORIGINS[name]
    return value, carrier
