"""Prices from public lists: a layer between what is built in and what operators state. 02 §6."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.catalog.overrides import StatedPrice, layered
from omniroute.catalog.price_documents import PriceDocument, SourceId
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import UpstreamFailed
from omniroute.operations.progress import Report
from omniroute.storage.records.configuration import SyncState
from omniroute.upstream.price_lists import ListUnusable


class SyncInput(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which lists to ask for; those of the configuration where none is named. `dry_run` shows
    what they say and keeps nothing."""

    sources: Annotated[list[SourceId], Meta(min_length=1, max_length=10)] | None = None
    dry_run: bool = False


class SyncQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """What to fetch.

    Attributes:
        sources: public price lists to ask; those of the configuration where none is named.
        dry_run: show what they say and keep nothing.
    """

    sources: Annotated[tuple[SourceId, ...], Meta(max_length=10)] = ()
    dry_run: bool = False


class SyncResult(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What came of a sync. `model_count` counts each model at each provider, `data` is what would
    be kept: USD per million tokens, by provider and model."""

    success: bool
    source: str
    dry_run: bool
    model_count: int
    provider_count: int
    warnings: list[str] = []
    data: dict[str, dict[str, StatedPrice]] | None = None


class ListStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the sync of one list stands. Times are ISO-8601; `error` says why the last attempt
    failed."""

    last_sync: str | None
    next_sync: str | None
    interval: int
    model_count: int
    provider_count: int
    skipped: int
    ignored: int
    error: str | None


class SyncStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the synced prices stand. `sources` are the lists that are asked for, `interval` (seconds)
    how often the first of them is, `next_sync` null where nobody does that by itself."""

    enabled: bool
    last_sync: str | None
    model_count: int
    next_sync: str | None
    interval: int
    sources: tuple[SourceId, ...]
    lists: dict[SourceId, ListStatus]


async def sync_status(engine: Engine, caller: Caller) -> SyncStatus:
    """How the synced prices stand."""
    lists = engine.price_lists
    async with engine.database.reading() as work:
        states = await work.synced_prices.states()
    shown = {
        source: _shown(engine, source, states.get(source, SyncState()))
        for source in dict.fromkeys([*lists.sources, *states])
    }
    due = [one.next_sync for one in shown.values() if one.next_sync is not None]
    done = [one.last_sync for one in shown.values() if one.last_sync is not None]
    merged = engine.snapshot.synced_prices.merged
    return SyncStatus(
        enabled=lists.enabled,
        last_sync=max(done, default=None),
        model_count=sum(map(len, merged.values())),
        next_sync=min(due, default=None),
        interval=lists.interval_s[lists.sources[0]],
        sources=lists.sources,
        lists=shown,
    )


async def sync_pricing(
    engine: Engine, caller: Caller, query: SyncQuery, report: Report
) -> SyncResult:
    """The same for somebody who waits for it; reports each list as it comes.

    Raises:
        UpstreamFailed: a list cannot be had, or is none.
    """
    wanted = SyncInput(sources=list(query.sources) or None, dry_run=query.dry_run)
    return await sync_prices(engine, caller, wanted, report)


async def sync_prices(
    engine: Engine, caller: Caller, query: SyncInput, report: Report | None = None
) -> SyncResult:
    """Ask the lists and keep what they say, in force from the next request on. All or nothing:
    where one cannot be had, everything stays as it was.

    Raises:
        UpstreamFailed: a list cannot be had, or is none.
    """
    sources = list(dict.fromkeys(query.sources or engine.price_lists.sources))
    documents, failed = await _fetched(engine, sources, report)
    if failed is not None:
        source, error = failed
        if not query.dry_run:
            await _failed(engine, source, str(error))
        raise UpstreamFailed(str(error), status=502, code="pricing_sync_failed") from error
    if not query.dry_run:
        await _keep(engine, caller, documents)
    found = layered(document.prices for document in documents.values())
    return SyncResult(
        success=True,
        source=",".join(sources),
        dry_run=query.dry_run,
        model_count=sum(map(len, found.values())),
        provider_count=len(found),
        warnings=[
            f"{source}: {document.skipped} entries could not be read and were skipped"
            for source, document in documents.items()
            if document.skipped
        ],
        data=found if query.dry_run else None,
    )


async def clear_synced_prices(engine: Engine, caller: Caller) -> None:
    """Go back to the prices that are built in and those that operators state."""
    async with engine.configuration.change(caller, "pricing.cleared") as work:
        await work.synced_prices.clear()


async def _fetched(
    engine: Engine, sources: Sequence[SourceId], report: Report | None
) -> tuple[dict[SourceId, PriceDocument], tuple[SourceId, ListUnusable] | None]:
    """What the lists say, asked at the same time, and the first that cannot be had."""
    come = 0

    async def fetched(source: SourceId) -> PriceDocument:
        nonlocal come
        document = await engine.price_lists.fetch(source)
        come += 1
        if report is not None:
            await report(come, f"{source} came")
        return document

    asked = map(fetched, sources)
    documents: dict[SourceId, PriceDocument] = {}
    failed: tuple[SourceId, ListUnusable] | None = None
    for source, found in zip(
        sources, await asyncio.gather(*asked, return_exceptions=True), strict=True
    ):
        match found:
            case PriceDocument():
                documents[source] = found
            case ListUnusable():
                failed = failed or (source, found)
            case _:
                raise found
    return documents, failed


async def _keep(engine: Engine, caller: Caller, documents: dict[SourceId, PriceDocument]) -> None:
    now_ms = engine.now_ms()
    async with engine.configuration.change(caller, "pricing.synced") as work:
        for source, document in documents.items():
            state = SyncState(
                stamp=engine.new_id(),
                last_sync_ms=now_ms,
                model_count=sum(map(len, document.prices.values())),
                provider_count=len(document.prices),
                skipped=document.skipped,
                ignored=document.ignored,
                next_ms=now_ms + engine.price_lists.interval_s[source] * 1000,
            )
            await work.synced_prices.replace(source, document.prices, state)


async def _failed(engine: Engine, source: SourceId, error: str) -> None:
    async with engine.database.work() as work:
        state = (await work.synced_prices.states()).get(source, SyncState())
        await work.synced_prices.note(source, msgspec.structs.replace(state, error=error))


def _shown(engine: Engine, source: SourceId, state: SyncState) -> ListStatus:
    lists = engine.price_lists
    by_itself = lists.enabled and source in lists.sources
    return ListStatus(
        last_sync=None if state.last_sync_ms is None else iso(state.last_sync_ms),
        next_sync=iso(max(state.next_ms, engine.now_ms())) if by_itself else None,
        interval=lists.interval_s[source],
        model_count=state.model_count,
        provider_count=state.provider_count,
        skipped=state.skipped,
        ignored=state.ignored,
        error=state.error,
    )
