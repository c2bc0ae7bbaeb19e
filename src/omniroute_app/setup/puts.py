"""What is written into a client's file: members by path, and list items by their name."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from omniroute.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Item:
    """The item of a list whose member `name` says this."""

    name: str


Step = str | Item


@dataclass(frozen=True, slots=True)
class Put:
    """A value of ours and its place; what lies beside it belongs to somebody else."""

    path: tuple[Step, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Facts:
    """What templates may name: `{url}`, `{v1}`, `{mcp}`, `{key}`, `{any_key}`, `{model}`,
    `{some_model}`, `{command}` and `{arguments}`. A member that names what is None is left out.
    """

    url: str
    key: str | None = None
    model: str | None = None
    command: tuple[str, ...] = ("omniroute", "mcp")

    def named(self) -> Mapping[str, str | None]:
        """Every text a template may name."""
        return {
            "url": self.url,
            "v1": f"{self.url}/v1",
            "mcp": f"{self.url}/api/mcp/stream",
            "key": self.key,
            "any_key": self.key or "omniroute",  # clients that insist on one
            "model": self.model,
            "some_model": self.model or "auto",
            "command": self.command[0],
        }


def filled(puts: Iterable[Put], facts: Facts) -> tuple[Put, ...]:
    """Templates with what they name."""
    made = (Put(put.path, _filled(put.value, facts)) for put in puts)
    return tuple(put for put in made if put.value is not None)


def _filled(template: Any, facts: Facts) -> Any:
    if template == "{arguments}":
        return list(facts.command[1:])
    if isinstance(template, str):
        named = facts.named()
        missing = any(value is None and f"{{{name}}}" in template for name, value in named.items())
        return None if missing else template.format(**named)
    if isinstance(template, list):
        return [_filled(one, facts) for one in template]
    if isinstance(template, dict):
        members = {_filled(name, facts): _filled(value, facts) for name, value in template.items()}
        return {name: value for name, value in members.items() if value is not None} or None
    return template


def put_into(data: Any, put: Put) -> Any:
    """The data with one value of ours in it. The data itself stays as it is.

    Raises:
        InvalidRequest: something else stands where an object or a list has to be.
    """
    made = deepcopy(data)
    made = {} if made is None else made
    if not isinstance(made, dict):
        raise InvalidRequest("What it holds is no object.")
    _put(made, put.path, put.value)
    return made


def _put(into: Any, path: tuple[Step, ...], value: Any) -> None:
    step, rest = path[0], path[1:]
    if isinstance(step, Item):
        at = next((n for n, one in enumerate(into) if _is(one, step)), None)
        if at is None:
            into.append(value)
        else:
            into[at] = value
        return
    if not rest:
        into[step] = value
        return
    kind: type = list if isinstance(rest[0], Item) else dict
    if into.get(step) is None:
        into[step] = kind()
    if not isinstance(into[step], kind):
        raise InvalidRequest(f"'{step}' is no {'list' if kind is list else 'object'} there.")
    _put(into[step], rest, value)


def value_at(data: Any, path: tuple[Step, ...]) -> Any:
    """What stands at a place; None where nothing does."""
    for step in path:
        if isinstance(step, Item):
            items = data if isinstance(data, list) else []
            data = next((one for one in items if _is(one, step)), None)
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def _is(one: Any, item: Item) -> bool:
    return isinstance(one, dict) and one.get("name") == item.name
