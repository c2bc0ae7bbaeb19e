"""What the SDK's validator says of a body, in the words of the wire."""

from typing import Any

import msgspec
from mcp_types import INVALID_REQUEST
from starlette.types import Message, Send

NOT_A_MESSAGE = "The body must be a single JSON-RPC request, notification or response."


def in_wire_words(send: Send) -> Send:
    """Pass answers on; a refusal that quotes the validator is told without it.

    Its text has several lines, names of Python types and the address of its own documentation.
    """
    held: Message | None = None

    async def worded(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and message["status"] == 400:
            held = message  # its length may change
            return
        if held is not None:
            start, held = held, None
            body = _worded(message.get("body", b""))
            headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
            await send({**start, "headers": headers})
            message = {**message, "body": body}
        await send(message)

    return worded


def _worded(body: bytes) -> bytes:
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return body
    error = answer.get("error")
    if isinstance(error, dict) and "\n" in str(error.get("message")):
        told = {"code": INVALID_REQUEST, "message": NOT_A_MESSAGE}
        return msgspec.json.encode({**answer, "error": told})
    return body
