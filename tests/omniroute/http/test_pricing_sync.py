"""Prices from public lists, over HTTP: fetched, layered, kept from harm, and kept current."""

import dataclasses
from typing import Any

import anyio
import pytest
from tests.omniroute.http.conftest import OpenSite, Site
from tests.support.price_lists import LITELLM, served

from omniroute.operations.money.price_keeper import LEASE_MS, LONGEST_LOOK_S, PriceKeeper
from omniroute.storage.records.configuration import SyncState

pytestmark = pytest.mark.anyio

PATH = "/api/pricing/sync"


def rates(opened: Site, model: str = "gpt-4o-mini") -> tuple[int, int] | None:
    """Pico-USD a token, read and written."""
    price = opened.engine.snapshot.price("openai", model)
    return None if price is None else (price.input.base, price.output.base)


async def test_a_list_lies_between_what_is_built_in_and_what_operators_state(
    site: OpenSite,
) -> None:
    async with served() as lists, site(**lists.environ) as opened, opened.as_peer() as client:
        before = (await client.get(PATH)).json()
        done = await client.post(PATH, json={})
        assert (rates(opened), rates(opened, "brand-new")) == (
            (1_000_000, 2_000_000),
            (5_000_000, 0),
        )
        await client.patch("/api/pricing", json={"openai": {"gpt-4o-mini": {"output": 9}}})
        assert rates(opened) == (1_000_000, 9_000_000)
        await client.post(PATH, json={"sources": ["litellm", "modelsDev"]})
        assert rates(opened) == (7_000_000, 9_000_000)
        told = (await client.get("/api/pricing", params={"includeSources": 1})).json()
        status = (await client.get(PATH)).json()
        cleared = await client.delete(PATH)
        after = (await client.get(PATH)).json()
        assert rates(opened) == (150_000, 9_000_000)
        assert rates(opened, "brand-new") is None
        await client.delete("/api/pricing")
    assert (before["lastSync"], before["modelCount"], before["sources"]) == (None, 0, ["litellm"])
    assert (before["enabled"], before["nextSync"], before["interval"]) == (False, None, 86_400)
    assert done.json() == {
        "success": True,
        "source": "litellm",
        "dryRun": False,
        "modelCount": 2,
        "providerCount": 1,
        "warnings": ["litellm: 1 entries could not be read and were skipped"],
    }
    origins = told["sourceMap"]["openai"]
    assert (origins["gpt-4o-mini"], origins["brand-new"]) == ("user", "litellm")
    assert origins["gpt-4o"] == "default"
    assert told["pricing"]["openai"]["brand-new"]["input"] == 5
    assert status["modelCount"] == 2
    assert status["lastSync"].endswith("Z")
    shown = status["lists"]["litellm"]
    assert (shown["skipped"], shown["ignored"], shown["error"]) == (1, 1, None)
    assert status["lists"]["modelsDev"]["modelCount"] == 1
    assert cleared.json() == {"success": True}
    assert (after["lastSync"], after["modelCount"]) == (None, 0)


async def test_the_list_that_counts_for_more_is_named(site: OpenSite) -> None:
    async with served() as lists, site(**lists.environ) as opened, opened.as_peer() as client:
        await client.post(PATH, json={"sources": ["modelsDev", "litellm"]})
        told = (await client.get("/api/pricing", params={"includeSources": 1})).json()
    assert told["sourceMap"]["openai"]["gpt-4o-mini"] == "modelsDev"
    assert told["pricing"]["openai"]["gpt-4o-mini"]["input"] == 7


async def test_a_dry_run_shows_and_keeps_nothing(site: OpenSite) -> None:
    async with served() as lists, site(**lists.environ) as opened, opened.as_peer() as client:
        version = opened.engine.snapshot.version
        shown = (await client.post(PATH, json={"dryRun": True})).json()
        status = (await client.get(PATH)).json()
        assert (rates(opened), opened.engine.snapshot.version) == ((150_000, 600_000), version)
    assert (shown["dryRun"], shown["data"]["openai"]["brand-new"]) == (True, {"input": 5.0})
    assert (status["lastSync"], status["lists"]["litellm"]["lastSync"]) == (None, None)


BROKEN: dict[str, tuple[str, bytes]] = {
    "an error": ("500 Oops", b"{}"),
    "another place": ("302 Found", b""),
    "no JSON": ("200 OK", b"<html>"),
    "another shape": ("200 OK", b"[1]"),
    "no prices": ("200 OK", b"{}"),
}


async def test_what_goes_wrong_leaves_the_old_prices_alone(site: OpenSite) -> None:
    async with served() as lists, site(**lists.environ) as opened, opened.as_peer() as client:
        await client.post(PATH, json={})
        for name, lists.answers["/litellm"] in BROKEN.items():
            failed = await client.post(PATH, json={"sources": ["modelsDev", "litellm"]})
            status = (await client.get(PATH)).json()
            assert failed.status_code == 502, name
            assert status["lists"]["litellm"]["error"] in failed.text, name
            assert "127.0.0.1" not in failed.text, name
            assert (status["modelCount"], status["lists"]["litellm"]["modelCount"]) == (2, 2), name
            # Nor did the good one come in alone.
            assert rates(opened) == (1_000_000, 2_000_000), name


async def test_a_list_on_a_private_address_is_not_asked_where_that_is_not_allowed(
    site: OpenSite,
) -> None:
    async with served() as lists:
        environ = {**lists.environ, "OMNIROUTE_ALLOW_PRIVATE_PROVIDER_URLS": "false"}
        async with site(**environ) as opened, opened.as_peer() as client:
            failed = await client.post(PATH, json={})
    assert (failed.status_code, lists.asked) == (502, [])


WRONG: dict[str, dict[str, Any]] = {
    "an unknown list": {"sources": ["rumours"]},
    "no list": {"sources": []},
    "an unknown word": {"source": "litellm"},
}


async def test_what_is_no_sync_is_refused(site: OpenSite) -> None:
    async with site() as opened, opened.as_peer() as client:
        told = {
            name: (await client.post(PATH, json=body)).status_code for name, body in WRONG.items()
        }
    assert told == dict.fromkeys(WRONG, 400)


async def test_prices_are_kept_current_by_one_process_and_through_failures(site: OpenSite) -> None:
    """Two keepers on one database, with a clock of their own; the site's keeper is off."""
    async with served() as lists, site(**lists.environ) as opened:
        now = [opened.engine.now_ms()]
        engine = _clocked(opened, now)
        one, other = PriceKeeper(engine), PriceKeeper(engine)
        assert await one.round() == LONGEST_LOOK_S
        assert await other.round() == LONGEST_LOOK_S
        assert lists.asked == ["/litellm"]
        assert rates(opened) == (1_000_000, 2_000_000)
        lists.answers["/litellm"] = ("500 Oops", b"")
        now[0] += 86_400_000
        assert await other.round() == LEASE_MS / 1000
        assert await one.round() == LEASE_MS / 1000
        assert len(lists.asked) == 2
        assert (await _state(opened)).error is not None
        assert rates(opened) == (1_000_000, 2_000_000)
        lists.answers["/litellm"] = ("200 OK", LITELLM)
        now[0] += LEASE_MS
        await one.round()
        assert len(lists.asked) == 3
        assert (await _state(opened)).error is None


async def test_the_keeper_runs_where_it_is_switched_on(site: OpenSite) -> None:
    async with served() as lists:
        environ = {**lists.environ, "PRICING_SYNC_ENABLED": "true"}
        async with site(**environ) as opened, opened.as_peer() as client:
            changed = anyio.Event()
            opened.engine.configuration.watch(lambda _: changed.set())
            if rates(opened) != (1_000_000, 2_000_000):
                await changed.wait()
            assert rates(opened) == (1_000_000, 2_000_000)
            status = (await client.get(PATH)).json()
    assert status["enabled"] is True
    assert status["nextSync"] > status["lastSync"]
    assert lists.asked == ["/litellm"]


def _clocked(opened: Site, now: list[int]) -> Any:
    """The engine of a site under another clock."""
    return dataclasses.replace(opened.engine, now_ms=lambda: now[0])


async def _state(opened: Site) -> SyncState:
    async with opened.engine.database.reading() as work:
        return (await work.synced_prices.states())["litellm"]
