"""Changing other programs' files: only ours changes, and it can be undone to the byte."""

import json
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute.errors import Conflict, InvalidRequest
from omniroute_app.setup import jsonc
from omniroute_app.setup.files import Notes, read, undo, write
from omniroute_app.setup.formats import changed
from omniroute_app.setup.puts import Item, Put, put_into


def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    notes = Notes(tmp_path / "data")
    backup = write(link, b"old", b"new", notes)
    assert backup is not None
    assert (link.is_symlink(), real.read_bytes(), backup.read_bytes()) == (True, b"new", b"old")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (real, backup)] == [0o640, 0o640]
    assert undo(link, notes, force=False)
    assert (real.read_bytes(), backup.exists()) == (b"old", False)
    assert not undo(link, notes, force=False)


def test_a_file_that_was_not_there_goes_again(tmp_path: Path) -> None:
    path, notes = tmp_path / "new" / "mcp.json", Notes(tmp_path / "data")
    assert write(path, None, b"new", notes) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write(path, b"new", b"newer", notes)
    assert undo(path, notes, force=False)
    assert not path.exists()


def test_what_somebody_changed_stays_unless_told(tmp_path: Path) -> None:
    path, notes = tmp_path / "mcp.json", Notes(tmp_path / "data")
    path.write_bytes(b"old")
    write(path, b"old", b"new", notes)
    path.write_bytes(b"somebody's")
    with pytest.raises(Conflict, match="--force"):
        undo(path, notes, force=False)
    assert path.read_bytes() == b"somebody's"
    assert undo(path, notes, force=True)
    assert path.read_bytes() == b"old"


def test_writing_again_goes_back_to_the_beginning(tmp_path: Path) -> None:
    path, notes = tmp_path / "mcp.json", Notes(tmp_path / "data")
    path.write_bytes(b"old")
    write(path, b"old", b"new", notes)
    write(path, b"new", b"newer", notes)
    undo(path, notes, force=False)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob("*.before-omniroute*")) == []


def test_a_change_in_between_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"changed")
    with pytest.raises(Conflict, match="meanwhile"):
        write(path, b"old", b"new", Notes(tmp_path / "data"))
    assert path.read_bytes() == b"changed"


def test_a_lost_backup_is_told(tmp_path: Path) -> None:
    path, notes = tmp_path / "mcp.json", Notes(tmp_path / "data")
    path.write_bytes(b"old")
    backup = write(path, b"old", b"new", notes)
    assert backup is not None
    backup.unlink()
    with pytest.raises(InvalidRequest, match="is gone"):
        undo(path, notes, force=False)
    assert path.read_bytes() == b"new"


OURS = Put(("mcpServers", "omniroute"), {"url": "http://localhost:20128", "n": [1]})
names = st.sampled_from(["mcpServers", "omniroute", "a", "ü", 'q"', "z"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=5)
spaces = st.sampled_from(["", " ", "\n", "\n    ", "\t", " // note\n", "/* c */", "\r\n  "])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """JSON with comments, however somebody has written it."""

    def gap() -> str:
        return draw(spaces)

    def write_value(value: Any) -> str:
        if isinstance(value, dict):
            members = [
                f"{gap()}{json.dumps(name)}{gap()}:{gap()}{write_value(inner)}{gap()}"
                for name, inner in value.items()
            ]
            comma = "," + gap() if members and draw(st.sampled_from([False, True])) else ""
            return "{" + ",".join(members) + comma + gap() + "}"
        if isinstance(value, list):
            return "[" + ",".join(gap() + write_value(inner) + gap() for inner in value) + "]"
        return json.dumps(value)

    return draw(spaces) + write_value(draw(objects)) + draw(spaces)


@settings(max_examples=200, deadline=None)
@given(documents())
def test_only_ours_changes_in_json(text: str) -> None:
    before = jsonc.read(text)
    try:
        wanted = put_into(before, OURS)
    except InvalidRequest:
        return  # something else stands where our servers would be
    made = changed("jsonc", text, [OURS])
    assert jsonc.read(made) == wanted
    assert changed("jsonc", made, [OURS]) == made
    if before.get("mcpServers") is None or "omniroute" not in before["mcpServers"]:
        assert made.count("// note") == text.count("// note")


YAML_OURS = Put(("mcpServers", Item("OmniRoute")), {"name": "OmniRoute", "url": "http://x"})
servers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["a", "OmniRoute", "b"]), "n": st.integers()}),
    max_size=3,
    unique_by=lambda one: one["name"],
)


@settings(max_examples=100, deadline=None)
@given(servers, st.integers(0, 4), st.booleans(), st.booleans())
def test_only_ours_changes_in_yaml(
    known: list[dict[str, Any]], indent: int, commented: bool, first: bool
) -> None:
    note = "  # kept" if commented else ""
    lines = [
        f"{' ' * indent}-   name: {one['name']}{note}\n{' ' * indent}    n:   {one['n']}\n"
        for one in known
    ]
    block = "mcpServers:\n" + "".join(lines) + "\n# between\n"
    text = f"{block}z: 'q'\n" if first else f"z: 'q'\n{block}"
    made = changed("yaml", text, [YAML_OURS])
    assert changed("yaml", made, [YAML_OURS]) == made
    others = [line for line, one in zip(lines, known, strict=True) if one["name"] != "OmniRoute"]
    assert [line for line in others if line not in made] == []
    assert ("z: 'q'\n" in made, made.count("# between")) == (True, 1)


@settings(max_examples=60, deadline=None)
@given(st.none() | st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_undoing_gives_back_the_same_bytes(old: bytes | None, new: bytes, newer: bytes) -> None:
    with TemporaryDirectory() as folder:
        path, notes = Path(folder, "file"), Notes(Path(folder, "data"))
        if old is not None:
            path.write_bytes(old)
        write(path, old, new, notes)
        write(path, new, newer, notes)
        assert undo(path, notes, force=False)
        assert read(path) == old
