"""A client says how long it waits; the gateway neither works nor waits beyond that."""

from typing import Any

import anyio
import pytest
from tests.omniroute.http.conftest import OpenSite

from omniroute.errors import InvalidRequest
from omniroute.http.models.deadlines import deadline_ms

NOW_MS = 1_800_000_000_000

TOLD: dict[str, tuple[dict[str, str], int | None]] = {
    "nothing": ({}, None),
    "our header": ({"x-omniroute-timeout-ms": "1500"}, 1_500),
    "an SDK's": ({"x-stainless-timeout": "600"}, 600_000),
    "another SDK's": ({"x-stainless-read-timeout": "2.5"}, 2_500),
    "a proxy's": ({"request-timeout": "3"}, 3_000),
    "the shortest of them": ({"request-timeout": "3", "x-stainless-timeout": "2"}, 2_000),
    "ours before theirs": ({"x-omniroute-timeout-ms": "9000", "request-timeout": "1"}, 9_000),
    "nonsense of an SDK": ({"x-stainless-timeout": "NOT_GIVEN"}, None),
    "no time at all": ({"x-stainless-timeout": "0"}, None),
    "no number": ({"x-stainless-timeout": "nan"}, None),
    "for ever": ({"x-stainless-timeout": "inf"}, 24 * 60 * 60 * 1000),
}


@pytest.mark.parametrize(("headers", "left_ms"), TOLD.values(), ids=TOLD)
def test_a_deadline_is_read_from_headers(headers: dict[str, str], left_ms: int | None) -> None:
    assert deadline_ms(headers, NOW_MS) == (None if left_ms is None else NOW_MS + left_ms)


@pytest.mark.parametrize("value", ["", "0", "-1", "soon", "nan"])
def test_our_own_header_must_make_sense(value: str) -> None:
    with pytest.raises(InvalidRequest):
        deadline_ms({"x-omniroute-timeout-ms": value}, NOW_MS)


BODY: dict[str, Any] = {
    "model": "demo/slow-start-60000",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
}
LATE: dict[str, tuple[str, bool, Any]] = {
    "OpenAI, whole": ("/v1/chat/completions", False, "DEADLINE_EXCEEDED"),
    "OpenAI, streamed": ("/v1/chat/completions", True, "DEADLINE_EXCEEDED"),
    "Anthropic, whole": ("/v1/messages", False, "timeout_error"),
    "Anthropic, streamed": ("/v1/messages", True, "timeout_error"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "stream", "told"), LATE.values(), ids=LATE)
async def test_an_answer_that_is_late_is_a_504_as_the_client_speaks(
    site: OpenSite, path: str, stream: bool, told: str
) -> None:
    async with site() as opened, opened.as_peer() as client:
        with anyio.fail_after(10):
            answer = await client.post(
                path,
                json={**BODY, "stream": stream},
                headers={"X-OmniRoute-Timeout-Ms": "50"},
            )
        assert answer.status_code == 504
        error = answer.json()["error"]
        assert told in (error.get("code"), error.get("type"))
        assert "time" in error["message"]
        assert opened.engine.ledger.open_reservations == 0


@pytest.mark.anyio
async def test_a_time_limit_that_is_none_is_refused(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        headers = {"X-OmniRoute-Timeout-Ms": "soon"}
        answer = await client.post("/v1/chat/completions", json=BODY, headers=headers)
        assert answer.status_code == 400
