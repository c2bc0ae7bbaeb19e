"""The demo upstream is deterministic, and the same on a socket as in process."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from omniroute.chat import Dialect
from omniroute.upstream.demo.player import play
from omniroute.upstream.demo.server import PATHS, ScriptedDrop, demo_app
from omniroute.upstream.send import TransportFailed

pytestmark = pytest.mark.anyio

MODELS = [
    "echo",
    "tools",
    "reasoning",
    "count-3",
    "slow-start-5",
    "slow-5",
    "flaky-500",
    "flaky-429",
    "flaky-429-9",
    "empty",
    "malformed",
    "malformed-after-2",
    "error-after-2",
    "cut-after-2",
    "nobody",
]


async def no_sleep(_seconds: float) -> None:
    return


def request(model: str, *, stream: bool) -> bytes:
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 50,
        "stream": stream,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    return json.dumps(body).encode()


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("model", MODELS)
async def test_the_same_request_gets_the_same_bytes_in_process_and_over_http(
    model: str, dialect: Dialect, stream: bool
) -> None:
    body = request(model, stream=stream)
    first, second = play(dialect, body, no_sleep), play(dialect, body, no_sleep)
    text = await whole(first.chunks)
    assert text == await whole(second.chunks)
    path = next(path for path, spoken in PATHS.items() if spoken is dialect)
    transport = httpx.ASGITransport(demo_app(no_sleep))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        served = await client.post(path, content=body)
    assert (served.status_code, served.content) == (first.status, text)
    assert served.headers.get("retry-after") == first.headers.get("retry-after")


async def test_a_drop_breaks_the_connection() -> None:
    body = request("drop-after-1", stream=True)
    with pytest.raises(TransportFailed):
        await whole(play(Dialect.OPENAI_CHAT, body, no_sleep).chunks)
    transport = httpx.ASGITransport(demo_app(no_sleep))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        with pytest.raises(ScriptedDrop):
            await client.post("/v1/chat/completions", content=body)


async def test_slowness_is_asked_for_not_slept() -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    await whole(play(Dialect.OPENAI_CHAT, request("slow-50", stream=True), note).chunks)
    assert set(slept) == {0.05}
    slept.clear()
    await whole(play(Dialect.OPENAI_CHAT, request("slow-start-700", stream=True), note).chunks)
    assert slept == [0.7]


async def test_an_unknown_model_names_the_nearest() -> None:
    played = play(Dialect.OPENAI_CHAT, request("ecko", stream=False), no_sleep)
    assert (played.status, b"Did you mean 'echo'?" in await whole(played.chunks)) == (404, True)
