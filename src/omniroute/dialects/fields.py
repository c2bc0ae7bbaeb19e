"""Reading a client's JSON object: typed fields, errors with the dotted path, leftovers kept."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec

from omniroute.chat import Dialect, Extras
from omniroute.errors import ValidationFailed


def read_object(body: bytes) -> dict[str, Any]:
    """A request body as a JSON object.

    Raises:
        ValidationFailed: it is something else.
    """
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise ValidationFailed([("body", "is not valid JSON")]) from error
    if not isinstance(value, dict):
        raise ValidationFailed([("body", "must be a JSON object")])
    return value


def refuse(path: str, problem: str) -> NoReturn:
    """Raise the error for one field."""
    raise ValidationFailed([(path, problem)])


class Fields:
    """A JSON object that is read field by field; null counts as absent.

    What nobody took is left in `rest()`, so that unknown fields survive.
    """

    __slots__ = ("_left", "path")

    def __init__(self, value: Mapping[str, Any], path: str = "") -> None:
        self._left = dict(value)
        self.path = path

    @classmethod
    def of(cls, value: object, path: str) -> "Fields":
        """Read `value`, which must be an object."""
        if not isinstance(value, dict):
            refuse(path, "must be an object")
        return cls(value, path)

    def at(self, name: str) -> str:
        """The dotted path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def peek(self, name: str) -> Any:
        """A field as it is; it stays among the leftovers."""
        return self._left.get(name)

    def take(self, name: str) -> Any:
        """A field as it is."""
        return self._left.pop(name, None)

    def put(self, name: str, value: Any) -> None:
        """Leave a value for the leftovers."""
        self._left[name] = value

    def text(self, name: str) -> str | None:
        """An optional string."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            refuse(self.at(name), "must be a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there and say something."""
        value = self.text(name)
        if not value:
            refuse(self.at(name), "is required")
        return value

    def integer(self, name: str) -> int | None:
        """An optional whole number; `8.0` is one."""
        value = self.number(name)
        if value is not None and value != int(value):
            refuse(self.at(name), "must be a whole number")
        return None if value is None else int(value)

    def number(self, name: str) -> float | None:
        """An optional number."""
        value = self.take(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            refuse(self.at(name), "must be a number")
        return value

    def flag(self, name: str) -> bool | None:
        """An optional boolean."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            refuse(self.at(name), "must be true or false")
        return value

    def object(self, name: str) -> "Fields | None":
        """An optional object."""
        value = self.take(name)
        return None if value is None else Fields.of(value, self.at(name))

    def array(self, name: str) -> list[Any] | None:
        """An optional array."""
        value = self.take(name)
        if value is not None and not isinstance(value, list):
            refuse(self.at(name), "must be an array")
        return value

    def objects(self, name: str) -> "Iterator[Fields]":
        """The members of an optional array of objects."""
        for position, value in enumerate(self.array(name) or ()):
            yield Fields.of(value, f"{self.at(name)}.{position}")

    def texts(self, name: str) -> tuple[str, ...]:
        """An optional string or array of strings."""
        value = self.take(name)
        values = [value] if isinstance(value, str) else value or []
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            refuse(self.at(name), "must be a string or an array of strings")
        return tuple(values)

    def messages(self) -> "Iterator[Fields]":
        """The members of `messages`, which must have some."""
        if self.peek("messages") is None:
            refuse(self.at("messages"), "is required")
        if self.peek("messages") == []:
            refuse(self.at("messages"), "must not be empty")
        return self.objects("messages")

    def left(self) -> dict[str, Any]:
        """What nobody took."""
        return self._left

    def rest(self, dialect: Dialect) -> Extras | None:
        """What nobody took. Names that start with `_` are the gateway's own, not a client's."""
        left = {name: value for name, value in self._left.items() if not name.startswith("_")}
        return Extras(dialect, left) if left else None


def own_fields(extras: Extras | None, dialect: Dialect) -> dict[str, Any]:
    """The fields of `extras` if they are this dialect's, else none."""
    return extras.fields if extras is not None and extras.dialect is dialect else {}
