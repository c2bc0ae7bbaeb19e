"""A trial of a combo with a prompt of the caller's: which step answers, how fast, for how much.

03 §8.2.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.operations.combos.combo_named import combo_named
from omniroute.operations.combos.combo_probe import Probe, Probed, probe_targets
from omniroute.operations.progress import Report

SENT_CHARS = 200
MAX_TOKENS = 50
NOBODY = "none"


class TrialQuery(Struct, frozen=True, rename="camel"):
    """Which combo, and what its steps are asked.

    Attributes:
        combo_id: the combo's id or name.
        test_prompt: what is asked; the first 200 characters are sent.
    """

    combo_id: str
    test_prompt: Annotated[str, Meta(min_length=1, max_length=500)]


class TrialResult(Struct, frozen=True, kw_only=True, rename="camel"):
    """One step. Latency is milliseconds, `cost` USD (0 where no price is known)."""

    provider: str
    model: str
    success: bool
    latency_ms: int
    cost: float
    token_count: int
    error: str | UnsetType = UNSET


class TrialSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """The steps held against each other; providers are `none` where nobody answered."""

    total_providers: int
    successful: int
    fastest_provider: str
    cheapest_provider: str


class Trial(Struct, frozen=True):
    """Every step of a combo, asked."""

    results: tuple[TrialResult, ...]
    summary: TrialSummary


async def try_combo(engine: Engine, caller: Caller, query: TrialQuery, report: Report) -> Trial:
    """Ask every step of a combo at once; reports each as it ends.

    Raises:
        NotFound: there is no such combo.
        Conflict: it is switched off.
        ValidationFailed: it has no target with an account.
    """
    combo = combo_named(engine.snapshot, query.combo_id, "comboId")
    done = 0

    async def finished(one: Probed) -> None:
        nonlocal done
        done += 1
        what = f"answered in {one.latency_ms} ms" if one.error is None else "failed"
        await report(done, f"{one.model} {what}")

    probe = Probe(query.test_prompt[:SENT_CHARS], MAX_TOKENS)
    probed = await probe_targets(engine, caller, combo, probe, "comboId", finished)
    results = tuple(map(_result, probed))
    good = [row for row in results if row.success]
    return Trial(
        results,
        TrialSummary(
            total_providers=len(results),
            successful=len(good),
            fastest_provider=_least(good, lambda row: row.latency_ms),
            cheapest_provider=_least(good, lambda row: row.cost),
        ),
    )


def _result(one: Probed) -> TrialResult:
    receipt = one.receipt
    return TrialResult(
        provider=one.leaf.provider,
        model=one.leaf.model,
        success=one.error is None,
        latency_ms=one.latency_ms,
        cost=((receipt and receipt.cost_micro_usd) or 0) / 1e6,
        token_count=receipt.input_tokens + receipt.output_tokens if receipt is not None else 0,
        error=one.error or UNSET,
    )


def _least(rows: Sequence[TrialResult], by: Callable[[TrialResult], float]) -> str:
    return min(rows, key=by).provider if rows else NOBODY
