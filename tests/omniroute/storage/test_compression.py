"""Pipelines of compression and what it saved come out as they went in, on both databases."""

from dataclasses import dataclass

import pytest
from msgspec.structs import asdict, replace
from sqlalchemy import text

from omniroute.storage.compression import By
from omniroute.storage.database import Database
from omniroute.storage.records.compression import (
    MCP_DESCRIPTION,
    Assignment,
    CompressionCombo,
    CompressionRow,
    CompressionSum,
    CompressionTotals,
    StoredStep,
)
from omniroute.storage.records.configuration import Combo

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
COMBO = CompressionCombo(
    id="c1",
    name="b",
    description="Condenses",
    pipeline=(StoredStep("rtk", "standard"), StoredStep("lite")),
    language_packs=("en",),
    output_mode=True,
    output_mode_intensity="full",
    is_default=True,
    created_at_ms=1,
    updated_at_ms=2,
)
ROW = CompressionRow(
    timestamp_ms=HOUR_MS,
    mode="standard",
    engine="caveman",
    original_tokens=100,
    compressed_tokens=70,
    tokens_saved=30,
    duration_ms=4,
    provider="demo",
    compression_combo_id="c1",
    request_id="r1",
    actual_prompt_tokens=80,
    actual_completion_tokens=10,
    actual_total_tokens=90,
    actual_cache_read_tokens=5,
    actual_cache_write_tokens=6,
    estimated_saved_micro_usd=7,
    receipt_source="provider",
)
PLAIN = CompressionRow(
    timestamp_ms=2 * HOUR_MS + 1,
    mode="lite",
    engine="lite",
    original_tokens=50,
    compressed_tokens=50,
    tokens_saved=0,
    validation_fallback=True,
)
LISTED = CompressionRow(
    timestamp_ms=2 * HOUR_MS,
    mode=MCP_DESCRIPTION,
    engine=MCP_DESCRIPTION,
    original_tokens=10,
    compressed_tokens=8,
    tokens_saved=2,
    mcp_description_tokens_saved=2,
)


async def test_pipelines(database: Database) -> None:
    other = replace(COMBO, id="c2", name="a", is_default=False)
    async with database.work() as work:
        for one in (COMBO, other):
            await work.compression_combos.save(one)
        await work.compression_combos.add_missing(replace(COMBO, name="changed"))
    async with database.reading() as work:
        assert await work.compression_combos.list() == (COMBO, other)
        assert await work.compression_combos.get("c1") == COMBO
        assert await work.compression_combos.get("c3") is None
    async with database.work() as work:
        await work.compression_combos.save(replace(other, is_default=True))
    async with database.reading() as work:
        assert [one.is_default for one in await work.compression_combos.list()] == [True, False]
    async with database.work() as work:
        assert await work.compression_combos.delete("c1")
        assert not await work.compression_combos.delete("c1")


async def test_a_damaged_pipeline_is_read_as_empty(database: Database) -> None:
    async with database.work() as work:
        await work.compression_combos.save(COMBO)
    async with database._writer.begin() as connection:
        await connection.execute(text("UPDATE compression_combos SET pipeline = '{\"a\": 1}'"))
    async with database.reading() as work:
        assert await work.compression_combos.get("c1") == replace(COMBO, pipeline=())


async def test_a_combo_has_one_pipeline(database: Database) -> None:
    def row(name: str, compression: str, combo: str) -> Assignment:
        return Assignment(
            id=name, compression_combo_id=compression, routing_combo_id=combo, created_at_ms=1
        )

    async with database.work() as work:
        for name in ("x", "y"):
            await work.combos.save(Combo(id=name, name=name))
        for one in (COMBO, replace(COMBO, id="c2", is_default=False)):
            await work.compression_combos.save(one)
        await work.compression_combos.assign("c1", (row("1", "c1", "x"), row("2", "c1", "y")))
        await work.compression_combos.assign("c2", (row("3", "c2", "y"),))
        found = [await work.compression_combos.assignments(name) for name in ("c1", "c2")]
    assert found == [(row("1", "c1", "x"),), (row("3", "c2", "y"),)]
    async with database.work() as work:
        await work.combos.delete("x")
        await work.compression_combos.delete("c2")
    async with database.reading() as work:
        assert await work.compression_combos.assignments("c1") == ()
        assert await work.compression_combos.assignments("c2") == ()


@dataclass(frozen=True)
class Group:
    """What rows have in common, and the sums over them: name, count, original and saved tokens."""

    column: By
    sums: tuple[tuple[str, int, int, int], ...]


GROUPS = (
    Group("mode", (("lite", 1, 50, 0), ("standard", 2, 200, 60))),
    Group("engine", (("caveman", 2, 200, 60), ("lite", 1, 50, 0))),
    Group("provider", (("demo", 2, 200, 60),)),
    Group("compression_combo_id", (("c1", 2, 200, 60),)),
    Group("receipt_source", (("provider", 2, 200, 60),)),
)


async def test_sums(database: Database) -> None:
    async with database.work() as work:
        for row in (ROW, ROW, PLAIN, LISTED):
            await work.compression.add(row)
    async with database.reading() as work:
        table = work.compression
        for group in GROUPS:
            found = await table.by(group.column, 0)
            assert tuple(tuple(asdict(one).values()) for one in found) == group.sums
        assert await table.totals(0) == CompressionTotals(
            requests=3,
            compressed=2,
            original_tokens=250,
            tokens_saved=60,
            duration_ms=8,
            validation_fallbacks=1,
            receipts=2,
            prompt_tokens=160,
            completion_tokens=20,
            total_tokens=180,
            cache_read_tokens=10,
            cache_write_tokens=12,
            saved_micro_usd=14,
        )
        assert await table.by_hour(HOUR_MS + 1) == (
            CompressionSum(name=str(2 * HOUR_MS), count=1, original_tokens=50, tokens_saved=0),
        )
        assert await table.descriptions(0) == (1, 2)
        assert await table.totals(9 * HOUR_MS) == CompressionTotals()
        assert await table.descriptions(9 * HOUR_MS) == (0, 0)
