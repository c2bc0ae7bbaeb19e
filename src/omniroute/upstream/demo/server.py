"""The demo upstream as a server of its own: the same answers over real sockets."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from omniroute.catalog.models import DEMO_MODELS
from omniroute.chat import ChatRequest, Dialect
from omniroute.clock import now_ms
from omniroute.dialects import CODECS
from omniroute.errors import OmniRouteError
from omniroute.upstream.demo.player import Played, Sleep, play
from omniroute.upstream.demo.quota import quota_script
from omniroute.upstream.demo.search import search_answer
from omniroute.upstream.send import TransportFailed

PATHS: Mapping[str, Dialect] = {
    "/v1/chat/completions": Dialect.OPENAI_CHAT,
    "/v1/responses": Dialect.OPENAI_RESPONSES,
    "/v1/messages": Dialect.ANTHROPIC,
    "/api/chat": Dialect.OLLAMA,
}
"""Where each dialect is spoken; Gemini has the model in its path and routes of its own."""

GEMINI_PATH = "/v1beta/models"


_SCRIPTED_KEY = re.compile(r"status-([45]\d\d)")


class _ScriptedKeys:
    """Refuses whoever comes with a key such as `status-401`, with that status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        key = next((headers[name] for name in _KEY_HEADERS if name in headers), "")
        found = _SCRIPTED_KEY.fullmatch(key.removeprefix("Bearer "))
        if found is None:
            await self._app(scope, receive, send)
            return
        status = int(found[1])
        told = {"error": {"message": f"This key is answered with {status}.", "type": "scripted"}}
        await JSONResponse(told, status)(scope, receive, send)


_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")


class ScriptedDrop(Exception):
    """Leaves the ASGI app so that the server cuts the connection in mid-body."""


def demo_app(sleep: Sleep = asyncio.sleep) -> Starlette:
    """The ASGI app behind `omniroute upstream`."""

    def door(path: str, dialect: Dialect) -> Route:
        async def answer(request: Request) -> Response:
            return _answer(play(dialect, await request.body(), sleep))

        return Route(path, answer, methods=["POST"])

    async def gemini(request: Request) -> Response:
        model, _, action = request.path_params["target"].rpartition(":")
        body = await request.body()
        if action == "countTokens":
            try:
                inner = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
                body = bytes(inner.get("generateContentRequest", body))
                asked = CODECS[Dialect.GEMINI].decode_request(body)
            except (OmniRouteError, msgspec.DecodeError) as error:
                return JSONResponse({"error": {"code": 400, "message": str(error)}}, 400)
            return JSONResponse({"totalTokens": _words(asked)})
        stream = action == "streamGenerateContent"
        return _answer(play(Dialect.GEMINI, body, sleep, model=model, stream=stream))

    async def count(request: Request) -> Response:
        try:
            asked = CODECS[Dialect.ANTHROPIC].decode_request(await request.body())
        except OmniRouteError as error:
            return JSONResponse({"error": {"message": str(error)}}, 400)
        return JSONResponse({"input_tokens": _words(asked)})

    async def count_responses(request: Request) -> Response:
        try:
            asked = CODECS[Dialect.OPENAI_RESPONSES].decode_request(await request.body())
        except OmniRouteError as error:
            return JSONResponse({"error": {"message": str(error)}}, 400)
        return JSONResponse({"object": "response.input_tokens", "input_tokens": _words(asked)})

    async def quota(request: Request) -> Response:
        script = quota_script(request.path_params.get("told", ""), now_ms())
        if script.delay_s:
            await sleep(script.delay_s)
        return JSONResponse(script.body, script.status)

    async def search(request: Request) -> Response:
        status, told = search_answer(request.url.query)
        return JSONResponse(told, status)

    return Starlette(
        middleware=[Middleware(_ScriptedKeys)],
        routes=[
            *(door(path, dialect) for path, dialect in PATHS.items()),
            Route(GEMINI_PATH + "/{target:path}", gemini, methods=["POST"]),
            Route("/v1/messages/count_tokens", count, methods=["POST"]),
            Route("/v1/responses/input_tokens", count_responses, methods=["POST"]),
            Route("/v1/quota", quota),
            Route("/v1/quota/{told}", quota),
            Route("/search", search),
            *(Route(path, _listing(shown)) for path, shown in _LISTS.items()),
        ],
    )


def _words(request: ChatRequest) -> int:
    return sum(len(message.text.split()) for message in request.messages)


_LISTS: Mapping[str, dict[str, Any]] = {
    "/v1/models": {
        "object": "list",
        "data": [{"id": name, "object": "model", "owned_by": "demo"} for name in DEMO_MODELS],
    },
    GEMINI_PATH: {"models": [{"name": f"models/{name}"} for name in DEMO_MODELS]},
    "/api/tags": {"models": [{"name": name, "model": name} for name in DEMO_MODELS]},
}


def _listing(shown: dict[str, Any]) -> Any:
    async def listing(_: Request) -> Response:
        return JSONResponse(shown)

    return listing


def _answer(played: Played) -> Response:
    return StreamingResponse(
        _cut_on_drop(played.chunks), played.status, headers=dict(played.headers)
    )


async def _cut_on_drop(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except TransportFailed as drop:
        raise ScriptedDrop from drop
