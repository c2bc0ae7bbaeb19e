"""Plays a script in a dialect: status, headers, and the body as chunks with its delays."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import msgspec
from msgspec import Struct

from omniroute.catalog.models import DEMO_MODELS
from omniroute.catalog.names import did_you_mean
from omniroute.chat import ChatRequest, Dialect, collect
from omniroute.dialects import CODECS
from omniroute.dialects.codec import Codec, ErrorFacts
from omniroute.dialects.sse import EVENT_STREAM
from omniroute.errors import OmniRouteError
from omniroute.upstream.demo.script import Script, script_for
from omniroute.upstream.send import TransportFailed

Sleep = Callable[[float], Awaitable[None]]


class Played(Struct, frozen=True):
    """An answer of the demo upstream; `chunks` raises `TransportFailed` for a scripted drop."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def play(
    dialect: Dialect,
    body: bytes,
    sleep: Sleep,
    *,
    model: str | None = None,
    stream: bool | None = None,
) -> Played:
    """Answer one request body of `dialect`; `model` and `stream` as the path says them, if any."""
    codec = CODECS[dialect]
    try:
        request = codec.decode_request(body)
    except OmniRouteError as error:
        return _error(codec, 400, str(error))
    if model is not None:
        request = msgspec.structs.replace(request, model=model, stream=stream)
    model = request.model.removeprefix("demo/")
    script = script_for(model, msgspec.structs.replace(request, model=model))
    if script is None:
        hint = did_you_mean(model, DEMO_MODELS)
        return _error(codec, 404, f"The demo upstream has no model '{model}'.{hint}")
    if script.status != 200:
        return _error(codec, script.status, script.message, script.retry_after_s)
    if request.stream:
        headers = {"content-type": codec.stream_type}
        return Played(200, headers, _stream(script, codec, request, sleep))
    if script.ending == "error":
        return _error(codec, 500, script.message)
    return Played(200, {"content-type": "application/json"}, _whole(script, codec, request, sleep))


async def _stream(
    script: Script, codec: Codec, request: ChatRequest, sleep: Sleep
) -> AsyncIterator[bytes]:
    encoder = codec.encoder(msgspec.structs.replace(request, include_usage=True))
    await _wait(script.first_delay_s, sleep)
    for number, event in enumerate(script.events):
        if number:
            await _wait(script.delay_s, sleep)
        frame = encoder.feed(event)
        if frame:
            yield frame
    match script.ending:
        case "complete":
            yield encoder.close()
        case "drop":
            raise TransportFailed("broken", "The demo upstream dropped the connection")
        case "malformed":
            events = codec.stream_type == EVENT_STREAM
            yield b'data: {"demo": this is not JSON\n\n' if events else b'{"demo": nonsense\n'
        case "error":
            yield encoder.fail(ErrorFacts(status=500, message=script.message))
        case "cut":
            pass


async def _whole(
    script: Script, codec: Codec, request: ChatRequest, sleep: Sleep
) -> AsyncIterator[bytes]:
    await _wait(script.first_delay_s + script.delay_s * len(script.events), sleep)
    encoded = codec.encode_reply(collect(script.events), request)
    if script.ending == "complete":
        yield encoded
        return
    yield encoded[: len(encoded) // 2]
    if script.ending == "drop":
        raise TransportFailed("broken", "The demo upstream dropped the connection")


def _error(codec: Codec, status: int, message: str, retry_after_s: int | None = None) -> Played:
    async def chunks() -> AsyncIterator[bytes]:
        yield codec.encode_error(ErrorFacts(status=status, message=message))

    headers = {"content-type": "application/json"}
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    return Played(status, headers, chunks())


async def _wait(seconds: float, sleep: Sleep) -> None:
    if seconds > 0:
        await sleep(seconds)
