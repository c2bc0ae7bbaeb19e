"""The filter for accessibility trees: what it collapses, cuts and leaves alone. 03 §7."""

from pathlib import Path

import msgspec
import pytest
from mcp import Client
from mcp_types import TextContent
from tests.omniroute_mcp.wire import set_setting

from omniroute.routing.compression import Accessibility
from omniroute_app.settings import load_settings
from omniroute_app.wiring import open_engine
from omniroute_mcp.accessibility import NOTE_CHARS, filtered
from omniroute_mcp.callers import Callers, Policy
from omniroute_mcp.door import parts

pytestmark = pytest.mark.anyio

RULE = Accessibility(
    collapse_threshold=6, collapse_keep_head=2, collapse_keep_tail=1, min_length_to_process=1
)


def items(count: int, indent: str = "", role: str = "link", first: int = 1) -> list[str]:
    """Siblings with anchors."""
    return [f'{indent}- {role} "{n}" [ref=e{n}]' for n in range(first, first + count)]


def joined(*groups: list[str]) -> str:
    return "\n".join(line for group in groups for line in group)


COLLAPSED: dict[str, tuple[str, str]] = {
    "a long group": (
        joined(items(8)),
        joined(items(2), ['... [5 more "link" items hidden]'], items(1, first=8)),
    ),
    "as long as the threshold": (
        joined(items(6)),
        joined(items(2), ['... [3 more "link" items hidden]'], items(1, first=6)),
    ),
    "shorter than the threshold": (joined(items(5)), joined(items(5))),
    "another role begins another group": (
        joined(items(4), items(4, role="button")),
        joined(items(4), items(4, role="button")),
    ),
    "a text between ends a group": (
        joined(items(4), ["and"], items(4)),
        joined(items(4), ["and"], items(4)),
    ),
    "inside something": (
        joined(["- list:"], items(7, "  "), ["- footer"]),
        joined(
            ["- list:"],
            items(2, "  "),
            ['  ... [4 more "link" items hidden]'],
            items(1, "  ", first=7),
            ["- footer"],
        ),
    ),
    "with what is inside them": (
        joined(*([f"- row [ref=e{n}]:", f"  - cell {n}"] for n in range(1, 6))),
        joined(
            ["- row [ref=e1]:", "  - cell 1", "- row [ref=e2]:", "  - cell 2"],
            ['... [2 more "row" items hidden]', "- row [ref=e5]:", "  - cell 5"],
        ),
    ),
    "few that are long": (
        joined(["- row:"], items(3, "  "), ["- row:"], items(3, "  ")),
        joined(["- row:"], items(3, "  "), ["- row:"], items(3, "  ")),
    ),
    "long ones in long ones": (
        joined(*(["- row:", *items(7, "  ")] for _ in range(4))),
        joined(
            *(
                [
                    "- row:",
                    *items(2, "  "),
                    '  ... [4 more "link" items hidden]',
                    *items(1, "  ", first=7),
                ]
                for _ in range(2)
            ),
            ['... [1 more "row" items hidden]'],
            ["- row:", *items(2, "  ")],
            ['  ... [4 more "link" items hidden]', *items(1, "  ", first=7)],
        ),
    ),
    "empty elements": (
        joined(["- main:", "  - generic", "  - generic:", '    - text: ""', '  - text: "a"']),
        joined(["- main:", '  - text: "a"']),
    ),
    "a generic element that says something": (
        "- generic [ref=e1]: Hello",
        "- generic [ref=e1]: Hello",
    ),
    "no tree": ('{\n  "a": [\n    1\n  ]\n}', '{\n  "a": [\n    1\n  ]\n}'),
}


@pytest.mark.parametrize(("text", "expected"), COLLAPSED.values(), ids=COLLAPSED)
def test_what_is_collapsed(text: str, expected: str) -> None:
    assert filtered(text, RULE) == expected


def test_nothing_need_be_kept_at_either_end() -> None:
    rule = msgspec.structs.replace(RULE, collapse_keep_head=0, collapse_keep_tail=0)
    assert filtered(joined(items(7)), rule) == '... [7 more "link" items hidden]'


UNTOUCHED: dict[str, tuple[str, Accessibility]] = {
    "short": (joined(items(60))[:1_999], Accessibility()),
    "off": ("x" * 100_000, Accessibility(enabled=False)),
    "just short enough": ("x" * 50_000, Accessibility()),
}


@pytest.mark.parametrize(("text", "rule"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_left_alone(text: str, rule: Accessibility) -> None:
    assert filtered(text, rule) == text


def test_what_is_too_long_is_cut_and_says_by_how_much() -> None:
    text = filtered("x" * 50_001, Accessibility())
    kept = 50_000 - NOTE_CHARS
    assert text[:kept] == "x" * kept
    assert f"[{50_001 - kept} more characters are left out here. Navigate" in text
    assert len(text) <= 50_000


def test_a_deep_tree_is_no_trouble() -> None:
    text = "\n".join(f"{' ' * depth}- group" for depth in range(2_000))
    rule = msgspec.structs.replace(RULE, max_text_chars=10_000_000)
    assert filtered(text, rule) == text


async def test_texts_of_results_are_cut_and_never_the_structure(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path, discover=False)
    async with open_engine(settings, {}) as engine:
        server = parts(engine, Callers(Policy(), over_stdio=True), dict).server()
        async with Client(server) as client:
            whole = await client.call_tool("omniroute_list_models_catalog", {"provider": "demo"})
            rule = {"maxTextChars": 1_000, "minLengthToProcess": 0}
            await set_setting(engine, "compression", {"mcpAccessibility": rule})
            cut = await client.call_tool("omniroute_list_models_catalog", {"provider": "demo"})
    (before,), (after,) = whole.content, cut.content
    assert isinstance(before, TextContent)
    assert isinstance(after, TextContent)
    assert len(before.text) > 1_000 >= len(after.text)
    assert after.text.startswith(before.text[:700])
    assert cut.structured_content == whole.structured_content
