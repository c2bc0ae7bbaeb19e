"""The built-in tools: files that stay in their workspace, requests that stay on the internet."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from omniroute.errors import OmniRouteError, ValidationFailed
from omniroute.skills.tool import ToolCall, ToolFailed, ToolHandler
from omniroute.upstream.gate import Gate
from omniroute_agents.tools import file_read, file_write, http_request, workspace
from omniroute_agents.tools.workspace import Workspaces, segments

pytestmark = pytest.mark.anyio


async def used(tool: ToolHandler, owner: str = "me", **arguments: Any) -> Any:
    return msgspec.to_builtins(await tool.run(ToolCall(owner, arguments)))


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "workspaces", max_file_bytes=20)


async def test_what_is_written_is_read(workspaces: Workspaces) -> None:
    write, read = file_write.tool(workspaces), file_read.tool(workspaces)
    assert await used(write, path="a/./b.txt", content="hé") == {"path": "a/./b.txt", "bytes": 3}
    await used(write, path="a/b.txt", content="!", append=True)
    assert await used(read, path="a/b.txt") == {
        "path": "a/b.txt",
        "encoding": "utf8",
        "content": "hé!",
        "bytes": 4,
    }
    assert (await used(read, path="a/b.txt", encoding="base64"))["content"] == "aMOpIQ=="
    await used(write, path="a/b.txt", content="x")
    assert (await used(read, path="a/b.txt"))["content"] == "x"
    with pytest.raises(ToolFailed, match="exists"):
        await used(write, path="a/b.txt", content="y", overwrite=False)
    with pytest.raises(ToolFailed, match="no such file"):
        await used(read, "you", path="a/b.txt")
    assert workspaces.of("me").stat().st_mode & 0o077 == 0


async def test_what_does_not_fit_is_refused(
    workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = file_write.tool(workspaces), file_read.tool(workspaces)
    with pytest.raises(ToolFailed, match="20 bytes"):
        await used(write, path="a", content="x" * 21)
    await used(write, path="a", content="x" * 20)
    with pytest.raises(ToolFailed, match="20 bytes"):
        await used(write, path="a", content="x", append=True)
    (workspaces.of("me") / "large").write_bytes(b"x" * 21)
    (workspaces.of("me") / "binary").write_bytes(b"\xff")
    with pytest.raises(ToolFailed, match="21 bytes"):
        await used(read, path="large")
    with pytest.raises(ToolFailed, match="base64"):
        await used(read, path="binary")
    with pytest.raises(ValidationFailed):
        await used(read, path=5)
    monkeypatch.setattr(workspace, "MOST_BYTES", 3 * 4_096)
    with pytest.raises(ToolFailed, match="full"):
        await used(write, path="b", content="x")


OUTSIDE = (
    *("/etc/passwd", "..", "../x", "a/../../x", "", ".", "a/..", "C:/x", "\\x", "..\\x"),
    *(".env", "a/.GIT/config", ".ssh/id", "Secrets", "a\x00b", "a\nb", "x" * 300, "a/" * 40 + "b"),
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ToolFailed):
        segments(path)


async def test_links_and_pipes_are_not_followed(workspaces: Workspaces, tmp_path: Path) -> None:
    write, read = file_write.tool(workspaces), file_read.tool(workspaces)
    await used(write, path="here", content="x")
    place, outside = workspaces.of("me"), tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (place / "file").symlink_to(outside / "secret")
    (place / "directory").symlink_to(outside)
    (place / "inside").symlink_to(place / "here")
    os.mkfifo(place / "pipe")
    for path in ("file", "directory/secret", "inside", "pipe", "here/x"):
        with pytest.raises(ToolFailed):
            await used(read, path=path)
        with pytest.raises(ToolFailed):
            await used(write, path=path, content="changed")
    with pytest.raises(ToolFailed):
        await used(write, path="directory/new", content="x")
    assert [(one.name, one.read_text()) for one in outside.iterdir()] == [("secret", "secret")]


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate(user_agent="test")
    yield made
    await made.aclose()


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """Answers with what it was asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/moved":
            raise web.HTTPFound("/elsewhere")
        if request.path == "/binary":
            return web.Response(body=b"\xff\xfe")
        if request.path == "/long":
            return web.Response(text="é" * 1_000)
        told = {name.lower(): value for name, value in request.headers.items()}
        asked = {"method": request.method, "body": await request.text(), "headers": told}
        return web.json_response(asked, headers={"set-cookie": "a=b", "x-own": "1"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def asking(gate: Gate, *, allow_private: bool = True, most: int = 5_000) -> ToolHandler:
    return http_request.tool(gate, lambda _: None, most, allow_private=allow_private)


async def test_a_server_is_asked(gate: Gate, server: str) -> None:
    headers = {"X-Mine": "1", "Authorization": "Bearer x", "cookie": "a", " Host": "evil"}
    answer = await used(asking(gate), url=f"{server}/x", method="PATCH", headers=headers, body="hi")
    asked = msgspec.json.decode(answer["body"])
    assert (answer["status"], answer["encoding"], answer["truncated"]) == (200, "utf8", False)
    assert (asked["method"], asked["body"], asked["headers"]["x-mine"]) == ("PATCH", "hi", "1")
    assert not asked["headers"].keys() & {"authorization", "cookie"}
    assert "evil" not in str(asked)
    assert answer["headers"]["x-own"] == "1"
    assert "set-cookie" not in answer["headers"]


async def test_answers_are_cut_and_redirects_are_shown(gate: Gate, server: str) -> None:
    tool = asking(gate)
    moved = await used(tool, url=f"{server}/moved")
    binary = await used(tool, url=f"{server}/binary")
    long = await used(tool, url=f"{server}/long", maxBytes=5)
    capped = await used(asking(gate, most=4), url=f"{server}/long", maxBytes=5_000)
    head = await used(tool, url=f"{server}/long", method="HEAD")
    assert (moved["status"], moved["headers"]["location"]) == (302, "/elsewhere")
    assert (binary["encoding"], binary["body"]) == ("base64", "//4=")
    assert (long["body"], long["truncated"]) == ("éé", True)
    assert (capped["body"], capped["truncated"]) == ("éé", True)
    assert (head["status"], head["body"]) == (200, "")


REFUSED = (
    *("http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/", "http://0x7f000001:9/"),
    *("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.1.1/"),
    *("ftp://example.com/", "file:///etc/passwd", "example.com", "http://", "http://[/"),
    "http://user:secret@example.com/",
)


@pytest.mark.parametrize("url", REFUSED)
async def test_addresses_that_are_not_public_are_refused(gate: Gate, url: str) -> None:
    with pytest.raises(ToolFailed) as refused:
        await used(asking(gate, allow_private=False), url=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("wrong", [{"timeoutMs": 60_001}, {"method": "TRACE"}, {"headers": [1]}])
async def test_what_is_asked_wrongly_is_refused(gate: Gate, wrong: dict[str, Any]) -> None:
    with pytest.raises(OmniRouteError):
        await used(asking(gate), url="http://127.0.0.1:9/", **wrong)
