"""Long accessibility trees in texts of tool results, cut down to what a model can use. 03 §7.

Such a tree has a line for each element, `<indent>- <role> ...`, and those inside it are indented
further. Lines that stay are never changed, so an anchor such as `[ref=e12]` can still be used.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omniroute.routing.compression import Accessibility

NOTE_CHARS = 300
"""How much room there is for the note at the end of a text that was cut."""

_ITEM = re.compile(r"(?P<indent>[ \t]*)- '?(?P<role>[A-Za-z][\w-]*)")
_EMPTY = re.compile(r"\s*- (?:generic:?|text: \"\")\s*")


@dataclass(slots=True)
class _Group:
    """Siblings of one role: where each begins, and where the last of them ends."""

    indent: str
    role: str
    starts: list[int]
    end: int = 0


def filtered(text: str, rule: Accessibility) -> str:
    """The text as it is sent; the very same where it is short or the filter is off."""
    if not rule.enabled or len(text) < rule.min_length_to_process:
        return text
    lines = [line for line in text.split("\n") if _EMPTY.fullmatch(line) is None]
    return _cut("\n".join(_collapsed(lines, rule)), rule.max_text_chars)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    kept = text[: most - NOTE_CHARS]
    return (
        f"{kept}\n\n[{len(text) - len(kept)} more characters are left out here. Navigate to a "
        "section, or ask for less, to see them.]"
    )


def _collapsed(lines: Sequence[str], rule: Accessibility) -> Iterator[str]:
    """The lines, with a note in the place of the middle of long groups."""
    hidden: dict[int, tuple[int, str]] = {}
    for group in _groups(lines):
        middle = len(group.starts) - rule.collapse_keep_head - rule.collapse_keep_tail
        if group.end - group.starts[0] < rule.collapse_threshold or middle < 1:
            continue
        after = [*group.starts, group.end][rule.collapse_keep_head + middle]
        note = f'{group.indent}... [{middle} more "{group.role}" items hidden]'
        hidden[group.starts[rule.collapse_keep_head]] = (after, note)
    at = 0
    while at < len(lines):
        if at in hidden:  # what is inside of it is hidden with it
            at, note = hidden[at]
            yield note
        else:
            yield lines[at]
            at += 1


def _groups(lines: Sequence[str]) -> Iterator[_Group]:
    """Every group, when it has ended: those inside others before them."""
    open_groups: list[_Group] = []
    for at, line in enumerate(lines):
        item = _ITEM.match(line)
        depth = len(line) - len(line.lstrip(" \t"))
        while open_groups and len(open_groups[-1].indent) > depth:
            yield _ended(open_groups, at)
        beside = bool(open_groups) and len(open_groups[-1].indent) == depth
        if item is None:
            if beside:
                yield _ended(open_groups, at)
        elif beside and open_groups[-1].role == item["role"]:
            open_groups[-1].starts.append(at)
        else:
            if beside:
                yield _ended(open_groups, at)
            open_groups.append(_Group(item["indent"], item["role"], [at]))
    while open_groups:
        yield _ended(open_groups, len(lines))


def _ended(open_groups: list[_Group], end: int) -> _Group:
    group = open_groups.pop()
    group.end = end
    return group
