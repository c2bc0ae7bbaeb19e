"""What is stored as the text of a configuration file; secrets become references."""

import re
from collections.abc import Mapping
from typing import Any

import tomlkit

from omniroute.operations.configuration.configuration_file.deciding import KINDS
from omniroute.operations.configuration.configuration_file.document import dotted, quoted_key
from omniroute.operations.configuration.configuration_file.everything import Everything, Name, Names
from omniroute.operations.configuration.configuration_file.kind import VALUE, Kind
from omniroute.operations.configuration.configuration_file.references import OWN, Secret

_WIDE = 88


class Written:
    """A configuration as a text. `variables` are the secrets it refers to, by variable."""

    def __init__(self, stored: Everything) -> None:
        self.variables: dict[str, str] = {}
        self._stored = stored
        self._names = Names(stored)
        sections = [text for kind in KINDS if (text := self._section(kind))]
        self.text = "\n".join([*self._head(), *sections])

    def _head(self) -> list[str]:
        lines = [
            "# The configuration of an OmniRoute gateway. See docs/guides/configuration-file.md."
        ]
        if self.variables:
            lines += [
                "#",
                "# Set these variables where the gateway runs; values are never exported:",
            ]
            lines += [f"#   {name}" for name in sorted(self.variables)]
        return [*lines, ""]

    def _section(self, kind: Kind[Any]) -> str:
        rows = kind.named(self._stored)
        if not rows:
            return ""
        blocks = []
        for name in rows if kind.is_ordered else sorted(rows):
            row = rows[name]
            path, said = (kind.section, *name), kind.told(row, self._names, self._stored)
            if kind.single:
                blocks.append(f"{quoted_key(name[0])} = {self._value(said[VALUE], path)}")
            else:
                blocks.append("\n".join(self._table(path, said)))
        between = "\n" if kind.single else "\n\n"
        head = f"# {kind.about}\n" + (f"[{kind.section}]\n" if kind.single else "")
        doubles = [
            f"\n# {dotted((kind.section, *name))}: several things have this name; one is written."
            for name in sorted(kind.ambiguous(self._stored))
        ]
        return head + between.join(blocks) + "".join(doubles) + "\n"

    def _table(self, path: Name, said: Mapping[str, Any]) -> list[str]:
        """One object: short values in its own table, long tables in tables of their own."""
        lines, nested = [f"[{dotted(path)}]"], []
        for name, value in said.items():
            if path[0] == "keys" and name == "key":
                continue  # the text of a key is not known
            inner = (*path, name)
            line = f"{quoted_key(name)} = {self._value(value, inner)}"
            if isinstance(value, dict) and len(line) > _WIDE:
                nested.append((inner, value))
            else:
                lines.append(line)
        for inner, value in nested:
            lines += ["", *self._table(inner, value)]
        return lines

    def _value(self, value: Any, path: Name) -> str:
        if isinstance(value, Secret):
            return f"{{ env = {text_value(self._variable(value, path))} }}"
        if isinstance(value, Mapping):
            inner = [
                f"{quoted_key(str(name))} = {self._value(one, (*path, str(name)))}"
                for name, one in value.items()
            ]
            return f"{{ {', '.join(inner)} }}" if inner else "{}"
        if isinstance(value, list | tuple):
            parts = [self._value(one, (*path, str(at))) for at, one in enumerate(value)]
            short = f"[{', '.join(parts)}]"
            if len(short) <= _WIDE or len(parts) == 1:
                return short
            return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"
        return plain_value(value)

    def _variable(self, secret: Secret, path: Name) -> str:
        """A variable for a secret; no two secrets share one."""
        words = "_".join(part for part in path[1:] if part != "options")
        base = re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_")
        base = base if base[:1].isalpha() and base not in OWN else f"SECRET_{base}".rstrip("_")
        name, count = base, 1
        while self.variables.get(name, secret.value) != secret.value:
            count += 1
            name = f"{base}_{count}"
        self.variables[name] = secret.value
        return name


def plain_value(value: Any) -> str:
    """A text, a number or a switch as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text_value(value)
    return repr(value)


def text_value(text: str) -> str:
    """A text as TOML has it: over several lines where it has several."""
    if "\n" in text.strip("\n") and "\r" not in text:
        return tomlkit.string(text, multiline=True).as_string()
    return tomlkit.string(text).as_string()
