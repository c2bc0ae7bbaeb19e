"""The demo upstream as a server of its own: the same answers over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from omniroute.catalog.models import DEMO_MODELS
from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.upstream.demo.player import Sleep, play
from omniroute.upstream.send import TransportFailed

PATHS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Dialect.OPENAI_CHAT,
    "/v1/messages": Dialect.ANTHROPIC,
}


class ScriptedDrop(Exception):
    """Leaves the ASGI app so that the server cuts the connection in mid-body."""


def demo_app(sleep: Sleep = asyncio.sleep) -> Starlette:
    """The ASGI app behind `omniroute upstream`."""

    def door(dialect: Dialect) -> Route:
        async def answer(request: Request) -> Response:
            played = play(dialect, await request.body(), sleep)
            return StreamingResponse(
                _cut_on_drop(played.chunks), played.status, headers=dict(played.headers)
            )

        path = next(path for path, spoken in PATHS.items() if spoken is dialect)
        return Route(path, answer, methods=["POST"])

    async def models(_: Request) -> Response:
        listed = [{"id": name, "object": "model", "owned_by": "demo"} for name in DEMO_MODELS]
        return JSONResponse({"object": "list", "data": listed})

    async def count(request: Request) -> Response:
        asked = CODECS[Dialect.ANTHROPIC].decode_request(await request.body())
        words = sum(len(message.text.split()) for message in asked.messages)
        return JSONResponse({"input_tokens": words})

    return Starlette(
        routes=[
            *map(door, PATHS.values()),
            Route("/v1/models", models),
            Route("/v1/messages/count_tokens", count, methods=["POST"]),
        ]
    )


async def _cut_on_drop(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except TransportFailed as drop:
        raise ScriptedDrop from drop
