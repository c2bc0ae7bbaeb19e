"""Prices over HTTP: shown, stated field by field, in force at once, and taken back."""

from typing import Any

import pytest
from tests.omniroute.http.conftest import OpenSite

pytestmark = pytest.mark.anyio

PATH = "/api/pricing"


async def test_a_stated_price_holds_from_the_next_request_on(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        before = (await client.get(PATH)).json()["openai"]["gpt-4o-mini"]
        assert (before["input"], before["output"]) == (0.15, 0.6)
        stated = await client.patch(PATH, json={"OpenAI": {"GPT-4o-mini": {"output": 9}}})
        assert stated.json() == {"openai": {"gpt-4o-mini": {"output": 9.0}}}
        price = opened.engine.snapshot.price("openai", "gpt-4o-mini")
        assert price is not None
        assert (price.input.base, price.output.base) == (150_000, 9_000_000)
        await client.post(PATH, json={"openai": {"gpt-4o-mini": {"cached": 0.01}}})
        after = (await client.get(PATH, params={"includeSources": 1})).json()
        found = after["pricing"]["openai"]["gpt-4o-mini"]
        assert (found["input"], found["output"], found["cached"]) == (0.15, 9, 0.01)
        assert after["sourceMap"]["openai"]["gpt-4o-mini"] == "user"
        assert after["sourceMap"]["openai"]["gpt-4o"] == "default"
        defaults = (await client.get(f"{PATH}/defaults")).json()
        assert defaults["openai"]["gpt-4o-mini"]["output"] == 0.6


async def test_a_model_nobody_prices_gets_a_price(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert opened.engine.snapshot.price("openai", "mine") is None
        await client.patch(PATH, json={"openai": {"mine": {"input": 1, "output": 2}}})
        price = opened.engine.snapshot.price("openai", "mine")
        assert price is not None
        assert (price.input.base, price.cache_read.base) == (1_000_000, 1_000_000)
        back = await client.delete(PATH, params={"provider": "openai", "model": "mine"})
        assert "mine" not in back.json()["openai"]
        assert opened.engine.snapshot.price("openai", "mine") is None


BAD: dict[str, Any] = {
    "below nothing": {"openai": {"m": {"input": -1}}},
    "an unknown word": {"openai": {"m": {"inptu": 1}}},
    "an unknown provider": {"opnai": {"m": {"input": 1}}},
    "nothing": {},
    "a text": {"openai": {"m": {"input": "much"}}},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_what_is_no_price_is_refused(site: OpenSite, body: Any) -> None:
    async with site() as opened, opened.as_peer() as client:
        assert (await client.patch(PATH, json=body)).status_code == 400
        alone = await client.delete(PATH, params={"model": "m"})
        assert alone.status_code == 400
