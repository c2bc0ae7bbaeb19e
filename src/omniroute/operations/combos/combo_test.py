"""A live probe of every target of a combo: does it answer, and how fast? Source: 02 §7.6."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound
from omniroute.operations.combos.combo_probe import Probe, Probed, probe_targets

PROBE = Probe("What is 7 + 5? Answer with the number only.", max_output_tokens=2_048)


class ComboTestInput(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which combo."""

    combo_name: Annotated[str, Meta(min_length=1, max_length=100)]


class TestedTarget(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One target and what came of it. Latency is milliseconds."""

    model: str
    provider: str
    execution_key: str
    status: Literal["ok", "error"]
    latency_ms: int
    step_id: str | None = None
    connection_id: str | None = None
    label: str | None = None
    response_text: str | None = None
    status_code: int | None = None
    error: str | None = None


class ComboTest(Struct, frozen=True, kw_only=True, rename="camel"):
    """Every target of a combo, probed. `resolved_by` is the first in order that answered."""

    combo_name: str
    strategy: str
    resolved_by: str | None
    resolved_by_execution_key: str | None
    resolved_by_target: TestedTarget | None
    results: tuple[TestedTarget, ...]
    tested_at: str


async def test_combo(engine: Engine, caller: Caller, asked: ComboTestInput) -> ComboTest:
    """Send a small question to every target at once, past caches and pauses, 20 s each.

    Raises:
        NotFound: there is no such combo.
        Conflict: it is switched off.
        ValidationFailed: it has no target with an account.
    """
    combo = engine.snapshot.combos.get(asked.combo_name)
    if combo is None:
        raise NotFound(f"There is no combo '{asked.combo_name}'.")
    labels = {step.id: step.label for step in combo.steps}
    probed = await probe_targets(engine, caller, combo, PROBE, "comboName")
    results = tuple(_tested(one, labels.get(one.leaf.step or "")) for one in probed)
    first = next((row for row in results if row.status == "ok"), None)
    return ComboTest(
        combo_name=combo.name,
        strategy=combo.strategy,
        resolved_by=first.model if first is not None else None,
        resolved_by_execution_key=first.execution_key if first is not None else None,
        resolved_by_target=first,
        results=results,
        tested_at=iso(engine.now_ms()),
    )


def _tested(one: Probed, label: str | None) -> TestedTarget:
    return TestedTarget(
        model=one.model,
        provider=one.leaf.provider,
        execution_key=one.leaf.key,
        status="ok" if one.error is None else "error",
        latency_ms=one.latency_ms,
        step_id=one.leaf.step,
        connection_id=one.leaf.accounts[0].id,
        label=label,
        response_text=one.text[:200] if one.error is None else None,
        status_code=one.status,
        error=one.error,
    )
