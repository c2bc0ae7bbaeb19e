"""`POST /a2a`: JSON-RPC 2.0 for all three dialects, in the order of checks of 04 §2."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from jsonrpcserver import Error, Success
from jsonrpcserver.async_main import dispatch_to_response
from jsonrpcserver.response import to_serializable_one
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from omniroute.caller import Caller
from omniroute.errors import Disabled
from omniroute_a2a import seed, v03, v10
from omniroute_a2a.call import Call, Frames, Method, RequestId
from omniroute_a2a.caller import call_context
from omniroute_a2a.dialect import STREAMING_METHODS, Dialect, check_version, dialect_of
from omniroute_a2a.envelope import check_envelope, decode, error_frame, failure, id_of, read_body
from omniroute_a2a.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SWITCHED_OFF,
    Fault,
    fault_of,
)
from omniroute_a2a.handler import Handler
from omniroute_a2a.sse import EventStreams

Authenticate: TypeAlias = Callable[[Scope], Awaitable[Caller]]
"""Finds the caller of an ASGI scope; raises `Unauthenticated` or `Forbidden`."""

METHODS: Mapping[Dialect, Mapping[str, Method]] = {
    Dialect.SEED: seed.METHODS,
    Dialect.V03: v03.METHODS,
    Dialect.V10: v10.METHODS,
}

SEED_STATUSES = {INVALID_REQUEST: 400, METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}
"""What the reference sends; official A2A wants 200 for every JSON-RPC error."""


class JsonRpcDoor:
    """The endpoint.

    Args:
        handler: answers for every dialect.
        authenticate: finds the caller.
        enabled: the setting `a2aEnabled`.
        interrupt: stops the skill of a task that runs here.
        streams: makes the event-stream responses.
    """

    def __init__(
        self,
        *,
        handler: Handler,
        authenticate: Authenticate,
        enabled: Callable[[], bool],
        interrupt: Callable[[str, str], None],
        streams: EventStreams,
    ) -> None:
        self._handler = handler
        self._authenticate = authenticate
        self._enabled = enabled
        self._interrupt = interrupt
        self._streams = streams

    async def answer(self, request: Request) -> Response:
        """Answer one HTTP request; every failure becomes a JSON-RPC error."""
        request_id: RequestId = None
        try:
            caller = await self._authenticate(request.scope)
            body = decode(await read_body(request))
            request_id = id_of(body)
            check_envelope(body)
            self._check_enabled()
            return await self._dispatch(request, caller, body)
        except Exception as error:  # noqa: BLE001 - fault_of logs what it does not know
            return failure(request_id, fault_of(error))

    def _check_enabled(self) -> None:
        if not self._enabled():
            raise Disabled(SWITCHED_OFF)

    async def _dispatch(self, request: Request, caller: Caller, body: dict[str, Any]) -> Response:
        """Find the dialect, let jsonrpcserver call the method, and shape what it returns."""
        name, params = body["method"], body.get("params", {})
        dialect = dialect_of(name, params if isinstance(params, dict) else {})
        if dialect is None:
            raise Fault(METHOD_NOT_FOUND, "Method not found")
        if "id" not in body and name in STREAMING_METHODS:
            return Response(status_code=204)  # nobody listens to the stream of a notification
        call = Call(body.get("id"), call_context(request, caller), self._handler, self._interrupt)
        message: Any = await dispatch_to_response(
            "",
            {name: checked(METHODS[dialect][name], dialect, params)},
            context=call,
            deserializer=lambda _: {**body, "params": {}},
            validator=lambda request: request,
            post_process=to_serializable_one,
        )
        if message is None:
            return Response(status_code=204)
        if call.fault is not None:
            return self._refusal(call, call.fault, dialect, name)
        result = message["result"]
        if isinstance(result, AsyncGenerator):
            return self._streams.response(guarded(call, dialect, result))
        return JSONResponse(message)

    def _refusal(self, call: Call, fault: Fault, dialect: Dialect, name: str) -> Response:
        """An error of a known method, in the manner of its dialect."""
        if dialect is Dialect.SEED:
            return failure(call.id, fault, dialect, SEED_STATUSES.get(fault.code))
        if name in STREAMING_METHODS:
            return self._streams.response(single(error_frame(call.id, fault, dialect)))
        return failure(call.id, fault, dialect)


def checked(method: Method, dialect: Dialect, params: Any) -> Callable[..., Awaitable[Any]]:
    """A method as jsonrpcserver calls it.

    The params take the way through this closure: as keyword arguments they could clash with the
    names of parameters. Every failure is caught here, for jsonrpcserver would quote its text.
    """

    async def run(call: Call) -> Any:
        try:
            check_version(version_of(call), dialect)
            return Success(await method(call, as_object(params)))
        except Exception as error:  # noqa: BLE001 - fault_of logs what it does not know
            call.fault = fault_of(error)
            return Error(call.fault.code, call.fault.message)

    return run


def version_of(call: Call) -> str | None:
    """The protocol version a client says it speaks."""
    headers: dict[str, str] = call.context.state["headers"]
    return headers.get("a2a-version")


def as_object(params: Any) -> dict[str, Any]:
    """The params, which A2A wants by name.

    Raises:
        Fault: -32602.
    """
    if not isinstance(params, dict):
        raise Fault(INVALID_PARAMS, "params must be an object.")
    return params


async def guarded(call: Call, dialect: Dialect, frames: Frames) -> Frames:
    """The frames of a stream; what fails on the way ends it with an error frame."""
    try:
        async for frame in frames:
            yield frame
    except Exception as error:  # noqa: BLE001 - fault_of logs what it does not know
        yield error_frame(call.id, fault_of(error), dialect)
    finally:
        await frames.aclose()


async def single(frame: dict[str, Any]) -> Frames:
    """A stream of one frame."""
    yield frame
