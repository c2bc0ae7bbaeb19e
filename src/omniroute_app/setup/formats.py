"""The formats of clients' files: each reads a text and puts a value into it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omniroute.errors import InvalidRequest
from omniroute_app.setup import jsonc, yaml_text
from omniroute_app.setup.puts import Put, put_into, value_at


@dataclass(frozen=True, slots=True)
class Format:
    """How a text is read, and how it is written with one value of ours."""

    read: Callable[[str], Any]
    put: Callable[[str, Put], str]


def changed(format_: str, text: str, puts: Iterable[Put]) -> str:
    """A file's text with all of our values; where it has them already it stays as it is.

    Raises:
        InvalidRequest: the text is broken (names the line), or our values do not fit in.
    """
    known = FORMATS[format_]
    for put in puts:
        before = known.read(text)
        if value_at(before, put.path) == put.value:
            continue
        wanted = put_into(before, put)
        text = known.put(text, put)
        if known.read(text) != wanted:  # better no change than a wrong one
            raise InvalidRequest("The file is written in a way that cannot be changed safely.")
    return text


def _read_json(text: str) -> Any:
    if not text.strip("\ufeff \t\r\n"):
        return None
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"Line {error.lineno} is not valid JSON: {error.msg}.") from error


def _put_json(text: str, put: Put) -> str:
    return jsonc.put(text, [str(step) for step in put.path], put.value)


_LONE_END = re.compile(r"(?<!\r)\n")


def _read_toml(text: str) -> Any:
    import tomlkit
    from tomlkit.exceptions import ParseError

    try:
        return tomlkit.parse(text).unwrap()
    except ParseError as error:
        raise InvalidRequest(f"Line {error.line} is not valid TOML.") from error


def _put_toml(text: str, put: Put) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    into: Any = document
    for step in put.path[:-1]:
        if step not in into:
            into[step] = tomlkit.table(is_super_table=True)
        into = into[step]
    into[put.path[-1]] = put.value
    made: str = tomlkit.dumps(document)
    if "\r\n" in text and not _LONE_END.search(text):
        made = _LONE_END.sub("\r\n", made)
    return made


_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def _read_env(text: str) -> dict[str, str]:
    return {found[1]: found[2].strip("\r") for found in _ASSIGNMENT.finditer(text)}


def _put_env(text: str, put: Put) -> str:
    name, line_end = str(put.path[0]), "\r\n" if "\r\n" in text else "\n"
    found = [one for one in _ASSIGNMENT.finditer(text) if one[1] == name]
    if found:
        start, end = found[-1].span(2)
        kept = "\r" if found[-1][2].endswith("\r") else ""
        return f"{text[:start]}{put.value}{kept}{text[end:]}"
    if text and not text.endswith("\n"):
        text += line_end
    return f"{text}{name}={put.value}{line_end}"


FORMATS: Mapping[str, Format] = {
    "json": Format(_read_json, _put_json),
    "jsonc": Format(jsonc.read, _put_json),
    "toml": Format(_read_toml, _put_toml),
    "yaml": Format(yaml_text.read, yaml_text.put),
    "env": Format(_read_env, _put_env),
}
"""Every format by name."""
