"""What pointing a client at a gateway changes in its files, before anything is written."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omniroute.catalog.names import did_you_mean
from omniroute.errors import InvalidRequest, NotFound
from omniroute_app.setup.clients import CLIENTS, Client, File
from omniroute_app.setup.files import read, text_of
from omniroute_app.setup.formats import FORMATS, changed
from omniroute_app.setup.places import Machine
from omniroute_app.setup.puts import Facts, filled, value_at

Kind = Literal["mcp", "models"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file as it is (None: there is none) and as it is to be."""

    path: Path
    old: bytes | None
    new: bytes

    @property
    def is_needed(self) -> bool:
        """Whether anything differs."""
        return self.old != self.new

    def diff(self, secret: str | None) -> str:
        """What differs, line by line; the key of the gateway is not shown."""
        lines = difflib.unified_diff(
            (self.old or b"").decode().splitlines(),
            self.new.decode().splitlines(),
            str(self.path) if self.old is not None else "(no file)",
            str(self.path),
            lineterm="",
        )
        text = "\n".join(lines)
        if not secret:
            return text
        shown = secret[:8] if len(secret) > 16 else ""
        return text.replace(secret, f"{shown}****")


def client_named(name: str) -> Client:
    """The client with an id or a name.

    Raises:
        NotFound: there is none; names the nearest.
    """
    known = {client.id: client for client in CLIENTS}
    by_name = {client.name.lower(): client for client in CLIENTS}
    found = known.get(name.lower()) or by_name.get(name.lower())
    if found is None:
        raise NotFound(
            f"There is no client '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
        )
    return found


def changes(
    client: Client, facts: Facts, machine: Machine, only: Kind | None = None
) -> list[Change]:
    """What would be written, one change for each file.

    Raises:
        InvalidRequest: a file is broken (names the line), or cannot be read or changed.
    """
    found: dict[Path, Change] = {}
    for file in wanted(client, only):
        path = Path(file.place.on(machine))
        before = found.get(path)
        old = before.old if before else read(path)
        text = before.new.decode() if before else text_of(path, old)
        if not text.strip("\ufeff \t\r\n"):
            text = file.new
        try:
            text = changed(file.format, text, filled(file.puts, facts))
        except InvalidRequest as error:
            raise InvalidRequest(f"{path}: {error}") from error
        found[path] = Change(path, old, text.encode())
    return list(found.values())


def wanted(client: Client, only: Kind | None) -> Iterator[File]:
    """The files of a client for what is wanted."""
    return (file for file in client.files if only in (None, file.kind))


def paths(client: Client, machine: Machine, only: Kind | None = None) -> list[Path]:
    """Where the files of a client are, each once."""
    return list(dict.fromkeys(Path(file.place.on(machine)) for file in wanted(client, only)))


def points(client: Client, facts: Facts, machine: Machine) -> str:
    """Whether a client points at a gateway: `here`, `elsewhere`, `no` or `unreadable`."""
    said = set(_points(client.files, facts, machine))
    for answer in ("unreadable", "elsewhere", "here"):
        if answer in said:
            return answer
    return "no"


_ADDRESS = re.compile(r"\{(url|v1|mcp|command)\}")


def _points(files: Iterable[File], facts: Facts, machine: Machine) -> Iterator[str]:
    for file in files:
        path = Path(file.place.on(machine))
        try:
            content = read(path)
            data = FORMATS[file.format].read(text_of(path, content)) if content else None
        except InvalidRequest:
            yield "unreadable"
            continue
        put = next(put for put in file.puts if _ADDRESS.search(str(put.value)))
        told = value_at(data, put.path)
        if told is None:
            yield "no"
        else:
            local = facts.url in str(told) or facts.command[0] in str(told)
            yield "here" if local else "elsewhere"
