"""Changing single fields of a JSON body; the bytes of every other value stay as they came."""

from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from omniroute.dialects.codec import TargetFacts

RawObject: TypeAlias = dict[str, Raw]

_OBJECT = msgspec.json.Decoder(RawObject)
_OBJECTS = msgspec.json.Decoder(list[RawObject])
_encode = msgspec.json.Encoder().encode


def raw(value: Any) -> Raw:
    """A value as JSON bytes; it may hold further `Raw` values."""
    return Raw(_encode(value))


def raw_object(value: bytes | Raw) -> RawObject:
    """The members of a JSON object, in their order."""
    return _OBJECT.decode(value)


def raw_objects(value: bytes | Raw) -> list[RawObject]:
    """The members of a JSON array of objects."""
    return _OBJECTS.decode(value)


def says(fields: RawObject, name: str, *literals: bytes) -> bool:
    """Whether a field is there and is one of the given JSON literals."""
    return name in fields and bytes(fields[name]) in literals


def addressed(body: bytes, target: TargetFacts) -> RawObject:
    """A client's body with the upstream's model id and the right `stream` flag.

    Names that start with `_` are the gateway's own and leave with nobody.
    """
    fields = {name: item for name, item in raw_object(body).items() if not name.startswith("_")}
    fields["model"] = raw(target.model)
    if target.stream is not says(fields, "stream", b"true"):
        fields["stream"] = raw(target.stream)
    return fields
