"""Thinking that a model writes into its text between tags, told apart from the text."""

import re
from collections.abc import Iterable, Iterator

from omniroute.chat import Event, Finished, ReasoningDelta, TextDelta

_TAGS = ("<think>", "</think>", "<thinking>", "</thinking>")
_TAG = re.compile(r"<(/?)think(?:ing)?>")
_PARTIAL = re.compile(r"<(?:/?[a-z]{0,8})?\Z")


class ThinkTags:
    """Turns tagged thinking in one reply's text into reasoning; tags may be cut anywhere.

    Thinking that is never closed stays thinking. Between two thoughts comes a blank line.
    """

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._thoughts = 0
        self._fresh = False

    def feed(self, event: Event) -> Iterator[Event]:
        """The event itself, or what its text says once the tags are gone."""
        if isinstance(event, TextDelta):
            yield from self._text(event.text)
            return
        # What looked like the beginning of a tag was text, for nothing can complete it any more.
        if isinstance(event, Finished) or self._held:
            yield from self.close()
        yield event

    def close(self) -> Iterator[Event]:
        """What was held back when the reply ended."""
        held, self._held = self._held, ""
        yield from self._said(held)

    def _text(self, text: str) -> Iterator[Event]:
        text, self._held = self._held + text, ""
        start = 0
        for found in _TAG.finditer(text):
            opens = not found.group(1)
            if opens == self._inside:
                continue  # an opening tag inside a thought, or a closing one in the text, is text
            yield from self._said(text[start : found.start()])
            start = found.end()
            self._inside, self._fresh = opens, True
        rest = text[start:]
        partial = _PARTIAL.search(rest)
        if partial and any(tag.startswith(partial.group()) for tag in _TAGS):
            self._held = partial.group()
            rest = rest[: partial.start()]
        yield from self._said(rest)

    def _said(self, text: str) -> Iterator[Event]:
        if self._fresh:
            # Models put a line break behind either tag; it belongs to the tag.
            text = text.lstrip("\n")
        if not text:
            return
        if not self._inside:
            self._fresh = False
            yield TextDelta(text)
            return
        if self._fresh:
            self._fresh = False
            self._thoughts += 1
            text = text if self._thoughts == 1 else f"\n\n{text}"
        yield ReasoningDelta(text)


def without_tags(events: Iterable[Event]) -> list[Event]:
    """A whole reply's events with its tagged thinking told apart."""
    tags = ThinkTags()
    told = [one for event in events for one in tags.feed(event)]
    return [*told, *tags.close()]
