"""The demo upstream behind the send protocol, without a socket in between."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from omniroute.chat import Dialect
from omniroute.clock import now_ms
from omniroute.upstream.demo.player import Played, Sleep, play
from omniroute.upstream.demo.quota import quota_script
from omniroute.upstream.demo.search import search_answer
from omniroute.upstream.send import OutboundRequest, OutboundResponse

ORIGIN = "demo://in-process"
SEARCH_PATHS = ("/search", "/news")
JSON = {"content-type": "application/json"}


async def _said(told: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(told)


class DemoSender:
    """A `Sender` that answers from the script table. Speaks the OpenAI Chat dialect."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See `Sender.send`."""
        path, _, query = request.url.removeprefix(ORIGIN).partition("?")
        if path in SEARCH_PATHS:
            status, told = search_answer(query)
            return _Response(Played(status, JSON, _said(told)))
        if request.method == "GET":
            return _Response(self._quota(request.url.rpartition("/quota")[2].strip("/")))
        return _Response(play(Dialect.OPENAI_CHAT, request.body or b"", self._sleep))

    async def aclose(self) -> None:
        """Nothing is pooled."""

    def _quota(self, told: str) -> Played:
        script = quota_script(told, now_ms())

        async def chunks() -> AsyncIterator[bytes]:
            if script.delay_s:
                await self._sleep(script.delay_s)
            yield msgspec.json.encode(script.body)

        return Played(script.status, JSON, chunks())


class _Response:
    def __init__(self, played: Played) -> None:
        self.status = played.status
        self.headers = played.headers
        self._chunks = played.chunks

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self._chunks])

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
