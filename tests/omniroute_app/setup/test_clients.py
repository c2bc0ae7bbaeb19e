"""Every client's files: where they are on each system, and what they look like afterwards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from omniroute.errors import InvalidRequest, NotFound
from omniroute_app.setup.clients import CLIENTS
from omniroute_app.setup.formats import FORMATS, changed
from omniroute_app.setup.places import Machine, System
from omniroute_app.setup.plan import changes, client_named, points
from omniroute_app.setup.puts import Facts, filled, value_at

GOLDEN = Path(__file__).parent / "golden"
FACTS = Facts("http://localhost:20128", "sk-test", "demo/echo", ("/opt/omniroute", "mcp"))

PLACES: dict[str, tuple[str, str, str]] = {
    "claude-code": (
        "/h/.claude.json /h/.claude/settings.json",
        "/h/.claude.json /h/.claude/settings.json",
        r"C:\h\.claude.json C:\h\.claude\settings.json",
    ),
    "claude-desktop": (
        "/h/.config/Claude/claude_desktop_config.json",
        "/h/Library/Application Support/Claude/claude_desktop_config.json",
        r"C:\h\AppData\Roaming\Claude\claude_desktop_config.json",
    ),
    "cursor": ("/h/.cursor/mcp.json", "/h/.cursor/mcp.json", r"C:\h\.cursor\mcp.json"),
    "vscode": (
        "/h/.config/Code/User/mcp.json",
        "/h/Library/Application Support/Code/User/mcp.json",
        r"C:\h\AppData\Roaming\Code\User\mcp.json",
    ),
    "cline": (
        (
            "/h/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/"
            "cline_mcp_settings.json"
        ),
        (
            "/h/Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev"
            "/settings/cline_mcp_settings.json"
        ),
        (
            r"C:\h\AppData\Roaming\Code\User\globalStorage\saoudrizwan.claude-dev\settings"
            r"\cline_mcp_settings.json"
        ),
    ),
    "codex": ("/h/.codex/config.toml", "/h/.codex/config.toml", r"C:\h\.codex\config.toml"),
    "gemini": (
        "/h/.gemini/settings.json /h/.gemini/.env",
        "/h/.gemini/settings.json /h/.gemini/.env",
        r"C:\h\.gemini\settings.json C:\h\.gemini\.env",
    ),
    "zed": (
        "/h/.config/zed/settings.json",
        "/h/.config/zed/settings.json",
        r"C:\h\AppData\Roaming\Zed\settings.json",
    ),
    "continue": (
        "/h/.continue/config.yaml",
        "/h/.continue/config.yaml",
        r"C:\h\.continue\config.yaml",
    ),
    "opencode": (
        "/h/.config/opencode/opencode.json",
        "/h/.config/opencode/opencode.json",
        r"C:\h\.config\opencode\opencode.json",
    ),
}

MOVED: dict[str, tuple[str, Mapping[str, str], str]] = {
    "Claude Code's folder": ("claude-code", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
    "Codex's folder": ("codex", {"CODEX_HOME": "/c"}, "/c/config.toml"),
    "Gemini CLI's home": ("gemini", {"GEMINI_CLI_HOME": "/c"}, "/c/.gemini/settings.json"),
    "Continue's folder": ("continue", {"CONTINUE_GLOBAL_DIR": "/c"}, "/c/config.yaml"),
    "opencode's file": ("opencode", {"OPENCODE_CONFIG": "/c/o.json"}, "/c/o.json"),
    "XDG": ("zed", {"XDG_CONFIG_HOME": "/x"}, "/x/zed/settings.json"),
}


def machine(system: System, **environ: str) -> Machine:
    """A machine with a home folder."""
    return Machine(system, r"C:\h" if system == "windows" else "/h", environ)


@pytest.mark.parametrize("name", [client.id for client in CLIENTS])
def test_where_files_are(name: str) -> None:
    systems: tuple[System, ...] = ("linux", "macos", "windows")
    found = tuple(
        " ".join(
            dict.fromkeys(str(file.place.on(machine(one))) for file in client_named(name).files)
        )
        for one in systems
    )
    assert found == PLACES[name]


@pytest.mark.parametrize(("name", "environ", "path"), MOVED.values(), ids=MOVED)
def test_variables_move_files(name: str, environ: Mapping[str, str], path: str) -> None:
    assert str(client_named(name).files[0].place.on(machine("linux", **environ))) == path


def fixtures() -> list[Path]:
    """Files as somebody has them: `client.kind.before.ext`."""
    return sorted(GOLDEN.glob("*.before.*"))


@pytest.mark.parametrize("before", fixtures(), ids=lambda path: path.name)
def test_what_is_written(before: Path) -> None:
    name, kind, _, ending = before.name.split(".")
    (file,) = (file for file in client_named(name).files if file.kind == kind)
    puts = filled(file.puts, FACTS)
    made = changed(file.format, before.read_bytes().decode(), puts)
    after = before.with_name(f"{name}.{kind}.after.{ending}")
    assert made == after.read_bytes().decode()
    assert changed(file.format, made, puts) == made
    data = FORMATS[file.format].read(made)
    assert [value_at(data, put.path) for put in puts] == [put.value for put in puts]


def test_every_file_of_every_client_has_a_golden_one() -> None:
    files = {f"{client.id}.{file.kind}" for client in CLIENTS for file in client.files}
    assert {path.name.split(".before.")[0] for path in fixtures()} == files


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_a_machine_without_files(client: Any, tmp_path: Path) -> None:
    here = Machine("linux", str(tmp_path), {})
    assert points(client, FACTS, here) == "no"
    for change in changes(client, FACTS, here):
        assert change.old is None
        assert FACTS.key is not None
        assert FACTS.key not in change.diff(FACTS.key)
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.write_bytes(change.new)
    assert points(client, FACTS, here) == "here"
    assert points(client, Facts("http://other:1", command=("/x", "mcp")), here) == "elsewhere"
    assert [change.is_needed for change in changes(client, FACTS, here)] == [False] * len(
        changes(client, FACTS, here)
    )


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_no_key_leaves_no_trace_of_one(client: Any, tmp_path: Path) -> None:
    here = Machine("linux", str(tmp_path), {})
    text = "".join(
        change.new.decode() for change in changes(client, Facts("http://localhost:1"), here)
    )
    assert ("Authorization" in text, "None" in text, "{" + "key}" in text) == (False,) * 3


BROKEN = {
    "a missing comma": ("cursor", '{\n  "a": 1\n  "b": 2\n}', "line 3"),
    "comments where none may be": ("cursor", "{\n  // no\n}", "line 2"),
    "no end": ("vscode", '{\n  "servers": {\n', "line 3"),
    "a list": ("zed", "[]", "no object"),
    "a text in the place of the servers": ("zed", '{"context_servers": "x"}', "context_servers"),
    "broken TOML": ("codex", "a = 1\nb = = 2\n", "line 2"),
    "broken YAML": ("continue", "a: 1\nb: [1\nc: 2\n", "line 3"),
    "a map of servers": ("continue", "mcpServers:\n  a: 1\n", "no list"),
}


@pytest.mark.parametrize(("name", "text", "told"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_left_alone(name: str, text: str, told: str, tmp_path: Path) -> None:
    here = Machine("linux", str(tmp_path), {})
    client = client_named(name)
    path = Path(client.files[0].place.on(here))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=f"(?i){told}") as refused:
        changes(client, FACTS, here)
    assert str(path) in str(refused.value)
    assert path.read_text() == text


def test_a_text_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_bytes(b"{\n\xff}")
    with pytest.raises(InvalidRequest, match="line 2 is not valid UTF-8"):
        changes(client_named("cursor"), FACTS, Machine("linux", str(tmp_path), {}))


def test_an_unknown_client_has_a_neighbour() -> None:
    with pytest.raises(NotFound, match="Did you mean 'cursor'"):
        client_named("curser")
    assert client_named("Claude Code").id == "claude-code"
