"""ProtoJSON with types. protobuf ships no annotations; this is the one place that knows it."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]

MessageT = TypeVar("MessageT")

ParseError: type[Exception] = json_format.ParseError
"""What `from_dict` raises; its text names fields and values of the input, nothing of ours."""


def to_dict(message: object) -> dict[str, Any]:
    """A message as ProtoJSON with camelCase names."""
    value: dict[str, Any] = whole_numbers(json_format.MessageToDict(message))
    return value


def to_builtin(value: object) -> Any:
    """A protobuf `Value` as the JSON value it holds."""
    return whole_numbers(json_format.MessageToDict(value))


def whole_numbers(value: Any) -> Any:
    """The same JSON with `2` for `2.0`: protobuf keeps every number of free-form data as double."""
    if isinstance(value, dict):
        return {name: whole_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_json(message: object) -> str:
    """A message as compact ProtoJSON text."""
    text: str = json_format.MessageToJson(message, indent=None)
    return text


def from_json(text: str, message: MessageT) -> MessageT:
    """Fill a message from text that `to_json` wrote."""
    json_format.Parse(text, message)
    return message


def from_dict(value: Mapping[str, Any], message: MessageT) -> MessageT:
    """Fill a message from a JSON object, ignoring members it does not have.

    The library's own leniency would also turn an unknown enum name into the zero value, so the
    unknown members are left out first and the rest is parsed strictly.

    Raises:
        ParseError: a member has the wrong type or an enum has no such name.
    """
    json_format.ParseDict(_known(value, message.DESCRIPTOR), message)  # type: ignore[attr-defined]
    return message


def struct_of(value: Mapping[str, Any]) -> Any:
    """A JSON object as a protobuf `Struct`."""
    return json_format.ParseDict(msgspec.to_builtins(value, str_keys=True), struct_pb2.Struct())


def value_of(value: object) -> Any:
    """A JSON value as a protobuf `Value`."""
    return json_format.ParseDict(msgspec.to_builtins(value, str_keys=True), struct_pb2.Value())


def copy_of(message: MessageT) -> MessageT:
    """An independent copy of a message."""
    copied = type(message)()
    copied.CopyFrom(message)  # type: ignore[attr-defined]
    return copied


def _known(value: Any, descriptor: Any) -> Any:
    """The members of a JSON object that the message type has, at every depth."""
    if not isinstance(value, Mapping) or descriptor.full_name.startswith("google.protobuf."):
        return value
    return dict(_known_members(value, descriptor))


def _known_members(value: Mapping[str, Any], descriptor: Any) -> Iterator[tuple[str, Any]]:
    fields = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    for name, member in value.items():
        if name not in fields:
            continue
        nested = fields[name].message_type
        if nested is None or nested.GetOptions().map_entry:
            yield name, member
        elif isinstance(member, list):
            yield name, [_known(item, nested) for item in member]
        else:
            yield name, _known(member, nested)
