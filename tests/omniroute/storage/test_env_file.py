"""The env file: how lines are read, which are repaired, and that the rest stays as it is."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import InvalidRequest
from omniroute.storage.env_file import EnvFile, parsed, repaired

READ: dict[str, tuple[str, str]] = {
    "plain": ("A=b", "b"),
    "in quotes": ('A="b c # d"', "b c # d"),
    "in single quotes": ("A='b'", "b"),
    "exported": ("export A=b", "b"),
    "with a comment": ("A=b # c", "b"),
    "a mark within": ("A=b#c", "b#c"),
    "with blanks": ("  A =  b  ", "b"),
    "empty": ("A=", ""),
    "signs of equality": ("A=b=c", "b=c"),
    "the last counts": ("A=1\nA=2", "2"),
    "from Windows": ("A=b\r\n", "b"),
}


@pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ)
def test_values(text: str, value: str) -> None:
    assert parsed(text) == {"A": value}


def test_what_is_no_variable_is_passed_over() -> None:
    assert parsed("# A=b\n\nnonsense\n1A=b\n") == {}


REPAIRED: dict[str, tuple[str, str, list[str]]] = {
    "sound": ("A=b\n", "A=b\n", []),
    "sound in quotes": ('A="b c"\n', 'A="b c"\n', []),
    "an open quote": ('A="b\n', "A=b\n", ["A"]),
    "quotes in quotes": ("A='\"b\"'\n", "A=b\n", ["A"]),
    "blanks within quotes": ('A=" b "\n', "A=b\n", ["A"]),
    "a control character": ("A=b\x07c\n", "A=bc\n", ["A"]),
    "blanks around": ("A= b \n", "A=b\n", ["A"]),
    "words": ('A=" b c"\n', 'A="b c"\n', ["A"]),
    "blank, and known": ("A=\n", "A=kept\n", ["A"]),
    "missing, and known": ("B=1\n\n", "B=1\nA=kept\n", ["A"]),
    "no file": ("", "A=kept\n", ["A"]),
    "twice": ("A=\nA=\n", "A=kept\n", ["A"]),
    "others stay": ("# note\nB= ' x\nA=\nC\n", "# note\nB= ' x\nA=kept\nC\n", ["A"]),
}


@pytest.mark.parametrize(("before", "after", "fixed"), REPAIRED.values(), ids=REPAIRED)
def test_repairs(before: str, after: str, fixed: list[str]) -> None:
    assert repaired(before, ["A"], {"A": "kept"}) == (after, fixed)
    assert repaired(after, ["A"], {}) == (after, [])


@given(st.text(), st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_repair_is_whole_and_leaves_other_variables_alone(text: str, value: str) -> None:
    after, _ = repaired(text, ["A"], {"A": value})
    assert repaired(after, ["A"], {"A": value})[0] == after
    mine = {name: one for name, one in parsed(text).items() if name != "A"}
    assert {name: one for name, one in parsed(after).items() if name != "A"} == mine


def test_the_real_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\nDATA_DIR=/elsewhere\n")
    assert EnvFile(tmp_path, {"A": "real"}).merged() == {"A": "real", "B": "file"}


def test_a_file_that_others_can_read_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".env"
    path.write_text("A=secret\n")
    path.chmod(0o644)
    EnvFile(tmp_path, {}).read()
    assert ("chmod" in caplog.text, "secret" in caplog.text) == (True, False)
    caplog.clear()
    path.chmod(0o600)
    EnvFile(tmp_path, {}).read()
    assert caplog.text == ""


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        EnvFile(tmp_path, {}).merged()
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(InvalidRequest, match="no text file"):
        EnvFile(tmp_path, {}).merged()


def test_repairs_are_backed_up_for_their_owner_alone(tmp_path: Path) -> None:
    path, file = tmp_path / ".env", EnvFile(tmp_path, {})
    path.write_text("A=b\n")
    path.chmod(0o600)
    fixed, first = file.repair(["A"], 1_000)
    assert (fixed, first is not None and first.read_text()) == ([], "A=b\n")
    assert file.repair(["A"], 2_000) == ([], first)
    path.write_text("B=1\n")
    fixed, second = file.repair(["A"], 3_000)
    assert (fixed, path.read_text()) == (["A"], "B=1\nA=b\n")
    assert second is not None
    assert (second != first, second.read_text()) == (True, "B=1\n")
    modes = {stat.S_IMODE(one.stat().st_mode) for one in (path, second)}
    assert modes == {0o600}
    for number in range(40):
        path.write_text(f"A={number}\n")
        file.repair(["A"], 10_000 + number)
    assert len([*tmp_path.glob("env-repair-*.bak")]) == 20
