"""The demo upstream behind the send protocol, without a socket in between."""

import asyncio
from collections.abc import AsyncIterator

from omniroute.chat import Dialect
from omniroute.upstream.demo.player import Played, Sleep, play
from omniroute.upstream.send import OutboundRequest, OutboundResponse


class DemoSender:
    """A `Sender` that answers from the script table. Speaks the OpenAI Chat dialect."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """See `Sender.send`."""
        return _Response(play(Dialect.OPENAI_CHAT, request.body or b"", self._sleep))

    async def aclose(self) -> None:
        """Nothing is pooled."""


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
