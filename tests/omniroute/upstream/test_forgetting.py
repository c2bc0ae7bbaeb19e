"""Upstreams that repeat what they were sent."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from omniroute.upstream.forgetting import Forgetful
from omniroute.upstream.send import OutboundRequest

pytestmark = pytest.mark.anyio

KEY = "canary-7f3a9c51"
TOLD: dict[str, tuple[dict[str, str], str, str, str]] = {
    "as it was sent": ({"authorization": f"Bearer {KEY}"}, "", f"no: Bearer {KEY}", "no: "),
    "without its scheme": ({"authorization": f"Bearer {KEY}"}, "", f"bad key {KEY}.", "bad key "),
    "of any header": ({"x-mine": KEY}, "", f"x-mine={KEY}", "x-mine="),
    "in the address": ({}, f"?key={KEY}&alt=sse", f"url: ?key={KEY}", "url: ?key="),
}


class Answer:
    """A response in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.status = 401
        self.headers: Mapping[str, str] = {}
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def read(self) -> bytes:
        return b"".join(self._pieces)

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("headers", "query", "body", "begins"), TOLD.values(), ids=TOLD)
async def test_a_credential_is_taken_out(
    headers: dict[str, str], query: str, body: str, begins: str
) -> None:
    request = OutboundRequest(url=f"https://up.example/v1{query}", headers=headers)
    middle = body.index(KEY) + 5
    pieces = [body[:middle].encode(), body[middle:].encode()]
    read = await Forgetful(Answer(pieces), request).read()
    [chunk] = [one async for one in Forgetful(Answer(pieces), request).chunks()]
    assert read == chunk
    assert KEY.encode() not in read
    assert read.startswith(begins.encode() + b"[redacted]")


async def test_what_is_no_secret_stays() -> None:
    headers = {"content-type": "application/json", "x-short": "abc"}
    request = OutboundRequest(url="https://up.example/v1?alt=sse", headers=headers)
    body = b"want application/json, not abc or sse"
    assert await Forgetful(Answer([body]), request).read() == body
