"""How far a streamed answer is, for clients that ask: every two seconds, and at its end."""

import anyio
import msgspec
import pytest
from litestar.types import Message
from tests.omniroute.http.conftest import OpenSite

from omniroute.http.models.keepalive import Progress

pytestmark = pytest.mark.anyio

ASK = {"model": "demo/count-3", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
ON = {"x-omniroute-progress": "true"}


async def test_the_last_word_is_how_much_was_sent(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.post("/v1/chat/completions", json=ASK, headers=ON)
    assert answer.headers["x-omniroute-progress"] == "enabled"
    *frames, last = answer.text.strip().split("\n\n")
    event, data = last.split("\n")
    told = msgspec.json.decode(data.removeprefix("data: "))
    sent = sum(frame.startswith("data:") for frame in frames)
    assert (event, told["tokens_generated"], told["done"]) == ("event: progress", sent, True)
    assert frames[-1] == "data: [DONE]", "after the answer's own end"


QUIET = {
    "nobody asked": ("/v1/chat/completions", ASK, {}),
    "a whole answer": ("/v1/chat/completions", {**ASK, "stream": False}, ON),
    "lines of JSON": ("/api/chat", ASK, ON),
}


@pytest.mark.parametrize(("path", "body", "headers"), QUIET.values(), ids=QUIET)
async def test_nothing_is_told_where_nobody_listens(
    site: OpenSite, path: str, body: dict[str, object], headers: dict[str, str]
) -> None:
    async with site() as opened, opened.as_peer() as client:
        answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 200
    assert "x-omniroute-progress" not in answer.headers
    assert "progress" not in answer.text


async def test_it_is_told_again_and_again_until_it_stops() -> None:
    sent: list[bytes] = []
    twice = anyio.Event()

    async def send(message: Message) -> None:
        sent.append(message["body"])  # type: ignore[typeddict-item]
        if len(sent) == 2:
            twice.set()

    progress = Progress(send, every_s=0.01)
    progress.count(b"data: a\n\ndata: b\n\n: remark\n\nevent: x\ndata: c\n\n")
    with anyio.fail_after(5):
        await twice.wait()
    progress.stop()
    assert all(b'"tokens_generated":3' in frame for frame in sent)
    assert not any(b"done" in frame for frame in sent)
