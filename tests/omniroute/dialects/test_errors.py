"""Errors: whatever upstreams send, in the shape each client expects."""

import json
from typing import Any

import pytest
from tests.support.builders import asking

from omniroute.chat import Dialect, Failed
from omniroute.dialects import CODECS
from omniroute.dialects.anthropic.errors import ERROR_TYPES
from omniroute.dialects.codec import ErrorFacts
from omniroute.dialects.error_bodies import read_failure
from omniroute.dialects.openai_chat.errors import ERRORS

CHAT, ANTHROPIC = CODECS[Dialect.OPENAI_CHAT], CODECS[Dialect.ANTHROPIC]

BODIES: dict[str, tuple[bytes, ErrorFacts]] = {
    "OpenAI": (
        b'{"error":{"message":"No","type":"t","code":"c","param":"p"}}',
        ErrorFacts(status=400, message="No", type="t", code="c", param="p"),
    ),
    "Anthropic": (
        b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":"r"}',
        ErrorFacts(status=400, message="Busy", type="overloaded_error", request_id="r"),
    ),
    "Gemini, in a list": (
        b'[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]',
        ErrorFacts(status=400, message="Quota", type="RESOURCE_EXHAUSTED"),
    ),
    "a bare error text": (
        b'{"error":"No such model"}',
        ErrorFacts(status=400, message="No such model"),
    ),
    "a message at the top": (
        b'{"message":"No","code":"c"}',
        ErrorFacts(status=400, message="No", code="c"),
    ),
    "FastAPI": (
        b'{"detail":[{"loc":["body"],"msg":"Field required"}]}',
        ErrorFacts(status=400, message="Field required"),
    ),
    "a list of errors": (
        b'{"errors":[{"message":"No","code":"c"}]}',
        ErrorFacts(status=400, message="No", code="c"),
    ),
    "text": (
        b"upstream connect error\nstack",
        ErrorFacts(status=400, message="upstream connect error"),
    ),
    "a page": (
        b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>",
        ErrorFacts(status=400, message="502 Bad Gateway"),
    ),
    "a page without title": (
        b"<html><body><h1>Down</h1><p>Sorry</p></body></html>",
        ErrorFacts(status=400, message="Down Sorry"),
    ),
    "nothing": (b"", ErrorFacts(status=400, message="The upstream answered 400 Bad Request")),
    "no text anywhere": (
        b'{"error":{"code":7}}',
        ErrorFacts(status=400, message="The upstream answered 400 Bad Request"),
    ),
    "a secret": (
        b'{"error":{"message":"Incorrect API key provided: sk-abcdefghijklm. See docs"}}',
        ErrorFacts(status=400, message="Incorrect API key provided: [redacted] See docs"),
    ),
}


@pytest.mark.parametrize("codec", [CHAT, ANTHROPIC])
@pytest.mark.parametrize(("body", "facts"), BODIES.values(), ids=BODIES)
def test_decode_error(codec: Any, body: bytes, facts: ErrorFacts) -> None:
    assert codec.decode_error(400, body) == facts


def test_an_unknown_status_has_a_message_too() -> None:
    assert CHAT.decode_error(599, b"").message == "The upstream answered 599"


IN_STREAM = {
    "a status in place of a code": ({"message": "Slow", "code": 429}, Failed("Slow", 429)),
    "as text": ({"message": "Slow", "code": "429"}, Failed("Slow", 429, code="429")),
    "a code": ({"message": "No", "type": "t", "code": "c"}, Failed("No", 502, "t", "c")),
    "no status": ({"message": "No", "code": 200}, Failed("No", 502)),
    "bare text": ("No", Failed("No", 502)),
}


@pytest.mark.parametrize(("value", "failed"), IN_STREAM.values(), ids=IN_STREAM)
def test_failures_inside_a_stream(value: object, failed: Failed) -> None:
    assert read_failure(value) == failed


@pytest.mark.parametrize(("status", "labels"), ERRORS.items())
def test_chat_errors_follow_the_table(status: int, labels: tuple[str, str]) -> None:
    body = json.loads(CHAT.encode_error(ErrorFacts(status=status, message="No")))
    error = {"message": "No", "type": labels[0], "code": labels[1], "param": None}
    assert body == {"error": error}


@pytest.mark.parametrize(
    ("status", "labels"),
    [
        (418, ("invalid_request_error", "bad_request")),
        (599, ("server_error", "internal_server_error")),
    ],
)
def test_other_statuses_are_told_by_their_class(status: int, labels: tuple[str, str]) -> None:
    error = json.loads(CHAT.encode_error(ErrorFacts(status=status, message="No")))["error"]
    assert (error["type"], error["code"]) == labels
    shown = json.loads(ANTHROPIC.encode_error(ErrorFacts(status=status, message="No")))["error"]
    assert shown["type"] == ("api_error" if status > 499 else "invalid_request_error")


def test_what_the_upstream_says_replaces_the_table() -> None:
    facts = ErrorFacts(status=429, message="No", type="t", code="c", extras={"retry_after": 3})
    error = json.loads(CHAT.encode_error(facts))["error"]
    expected = {"message": "No", "type": "t", "code": "c", "param": None, "retry_after": 3}
    assert error == expected


@pytest.mark.parametrize(("status", "error_type"), ERROR_TYPES.items())
def test_anthropic_errors_follow_the_table(status: int, error_type: str) -> None:
    facts = ErrorFacts(status=status, message="No", type="server_error", code="c", request_id="r")
    assert json.loads(ANTHROPIC.encode_error(facts)) == {
        "type": "error",
        "error": {"type": error_type, "message": "No", "code": "c"},
        "request_id": "r",
    }


def test_an_official_anthropic_type_is_kept() -> None:
    facts = ErrorFacts(status=503, message="No", type="rate_limit_error")
    assert json.loads(ANTHROPIC.encode_error(facts))["error"]["type"] == "rate_limit_error"


def test_failures_after_the_first_byte() -> None:
    facts = ErrorFacts(status=503, message="Cut\nat x", type="whatever")
    assert CHAT.encoder(asking(include_usage=True)).fail(facts) == (
        b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},'
        b'"finish_reason":"error"}],"error":{"message":"Cut","type":"upstream_error",'
        b'"code":503}}\n\ndata: [DONE]\n\n'
    )
    assert ANTHROPIC.encoder(asking(include_usage=True)).fail(facts) == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Cut"}}\n\n'
    )
