"""Every error of the tree has a status and a body in every dialect."""

import inspect
import json

import pytest

from omniroute import errors
from omniroute.errors import OmniRouteError, UpstreamFailed, ValidationFailed
from omniroute.http.dialect_errors import error_body, facts_body
from omniroute.http.errors import STATUS, internal_facts, retry_headers, status_of

CLASSES = {
    name: one
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, OmniRouteError) and one is not OmniRouteError
}


def made(kind: type[OmniRouteError]) -> OmniRouteError:
    return ValidationFailed([("a.b", "is wrong")]) if kind is ValidationFailed else kind("told")


def test_the_table_names_no_strangers() -> None:
    assert set(STATUS) <= set(CLASSES.values())


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_every_error_is_an_answer_in_every_dialect(kind: type[OmniRouteError]) -> None:
    error = made(kind)
    assert 400 <= status_of(error) < 600
    openai = json.loads(error_body("/v1/chat/completions", error, "id-1"))
    anthropic = json.loads(error_body("/v1/messages", error, "id-1"))
    management = json.loads(error_body("/api/keys", error, "id-1"))
    assert {"message", "type", "code"} <= set(openai["error"])
    assert (anthropic["type"], anthropic["request_id"]) == ("error", "id-1")
    assert management["error"]


def test_nothing_foreign_is_told() -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/api/keys"):
        body = facts_body(path, internal_facts("id-1")).decode()
        assert "The gateway failed on this request" in body


def test_secrets_and_paths_do_not_leave() -> None:
    error = UpstreamFailed("bad key sk-abcdefghijklmnop in /srv/app/main.py\nTraceback ...")
    body = error_body("/v1/chat/completions", error, "id-1").decode()
    assert "bad key [redacted] in <path>" in body
    assert "Traceback" not in body


def test_validation_names_its_fields() -> None:
    body = json.loads(error_body("/api/keys", made(ValidationFailed), "id-1"))
    assert body == {
        "error": {
            "message": "Invalid request",
            "details": [{"field": "a.b", "message": "is wrong"}],
        }
    }


def test_an_upstreams_status_is_kept_and_retry_after_is_whole_seconds() -> None:
    error = UpstreamFailed("x", status=429, retry_after_s=0)
    assert (status_of(error), retry_headers(error)) == (429, {"retry-after": "1"})
