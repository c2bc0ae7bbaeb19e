"""Thinking between tags in the text, however the stream was cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.chat import Event, Finished, ReasoningDelta, TextDelta, ToolCallStarted
from omniroute.dialects.think_tags import ThinkTags, without_tags

CASES: dict[str, tuple[str, str, str]] = {
    "no tags": ("Hello", "", "Hello"),
    "thinking first": ("<think>\nhm\n</think>\n\nYes", "hm\n", "Yes"),
    "twice": ("<think>a</think>b<think>c</think>d", "a\n\nc", "bd"),
    "the long tag": ("<thinking>a</thinking>b", "a", "b"),
    "never closed": ("<think>a", "a", ""),
    "nothing thought": ("<think>\n\n</think>\n\nYes", "", "Yes"),
    "a closing tag of nothing is text": ("a</think>b", "", "a</think>b"),
    "an opening tag in a thought is text": ("<think>a<think>b</think>c", "a<think>b", "c"),
    "half a tag at the end is text": ("see <thi", "", "see <thi"),
    "other markup": ("<b>a</b> < 3", "", "<b>a</b> < 3"),
}


def read(events: list[Event]) -> tuple[str, str]:
    thought = "".join(e.text for e in events if isinstance(e, ReasoningDelta))
    return thought, "".join(e.text for e in events if isinstance(e, TextDelta))


@pytest.mark.parametrize(("text", "thought", "said"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 100])
def test_tags_are_told_apart_wherever_they_are_cut(
    text: str, thought: str, said: str, step: int
) -> None:
    deltas: list[Event] = [TextDelta(text[at : at + step]) for at in range(0, len(text), step)]
    assert read(without_tags([*deltas, Finished("stop")])) == (thought, said)


@given(text=st.text(st.sampled_from("<>/think a\n")), cuts=st.lists(st.integers(0, 30)))
def test_text_without_whole_tags_comes_out_as_it_went_in(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    deltas: list[Event] = [TextDelta(text[a:b]) for a, b in pairwise(edges)]
    whole = read(without_tags([TextDelta(text)] if text else []))
    assert read(without_tags(deltas)) == whole


def test_what_follows_held_text_stays_behind_it() -> None:
    call = ToolCallStarted(0, "c", "look")
    events: list[Event] = [TextDelta("a <"), call, TextDelta("b")]
    assert without_tags(events) == [TextDelta("a "), TextDelta("<"), call, TextDelta("b")]


def test_the_first_word_is_not_waited_for() -> None:
    assert list(ThinkTags().feed(TextDelta("Hi"))) == [TextDelta("Hi")]
