"""A live probe of every target of a combo: does it answer, and how fast? Source: 02 §7.6."""

import asyncio
from typing import Annotated, Literal

from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import NotFound, OmniRouteError, UpstreamFailed, ValidationFailed
from omniroute.pipeline.exchange import ChatCall
from omniroute.pipeline.reuse.signature import BYPASS
from omniroute.routing.survey import leaves, survey
from omniroute.routing.targets import Leaf, RouteFacts

LIMIT_MS = 20_000
PROBE = "What is 7 + 5? Answer with the number only."
MAX_TOKENS = 2_048


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
        ValidationFailed: it has no target with an account.
    """
    combo = engine.snapshot.combos.get(asked.combo_name)
    if combo is None:
        raise NotFound(f"There is no combo '{asked.combo_name}'.")
    labels = {step.id: step.label for step in combo.steps}
    seen = survey(RouteFacts(model=combo.name), engine.snapshot, engine.live.world())
    targets = [leaf for leaf in leaves(seen.root) if leaf.accounts]
    if not targets:
        raise ValidationFailed([("comboName", "has no target with an active account")])
    results = tuple(
        await asyncio.gather(*(_probed(engine, caller, leaf, labels) for leaf in targets))
    )
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


async def _probed(
    engine: Engine, caller: Caller, leaf: Leaf, labels: dict[str, str | None]
) -> TestedTarget:
    name = engine.snapshot.written(leaf.provider, leaf.model)
    request = ChatRequest(
        model=name,
        messages=(Message("user", (Text(PROBE),)),),
        max_output_tokens=MAX_TOKENS,
    )
    started_ms = engine.now_ms()
    call = ChatCall(
        request_id=engine.new_id(),
        caller=caller,
        request=request,
        headers={BYPASS: "true"},
        pinned_connection=leaf.accounts[0].id,
        deadline_ms=started_ms + LIMIT_MS,
    )
    text, error, status = "", None, None
    try:
        text = (await engine.chat.complete(call)).reply.text
        error = None if text else "The answer has no text."
    except OmniRouteError as failed:
        error = str(failed)
        status = failed.status if isinstance(failed, UpstreamFailed) else None
    return TestedTarget(
        model=name,
        provider=leaf.provider,
        execution_key=leaf.key,
        status="ok" if error is None else "error",
        latency_ms=engine.now_ms() - started_ms,
        step_id=leaf.step,
        connection_id=leaf.accounts[0].id,
        label=labels.get(leaf.step or ""),
        response_text=text[:200] if error is None else None,
        status_code=status,
        error=error,
    )
