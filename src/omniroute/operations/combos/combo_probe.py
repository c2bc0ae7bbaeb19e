"""Asking every target of a combo the same small question at once, past caches and pauses."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from omniroute.caller import Caller
from omniroute.chat import ChatRequest, Message, Text
from omniroute.engine import Engine
from omniroute.errors import Conflict, OmniRouteError, UpstreamFailed, ValidationFailed
from omniroute.pipeline.exchange import ChatCall, Receipt
from omniroute.pipeline.reuse.signature import BYPASS
from omniroute.routing.survey import leaves, survey
from omniroute.routing.targets import Leaf, RouteFacts
from omniroute.storage.records.configuration import Combo

LIMIT_MS = 20_000


@dataclass(frozen=True, slots=True)
class Probe:
    """What every target is asked, and how long its answer may be."""

    prompt: str
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of one target: its answer and receipt, or the error it ended with.

    `status` is the upstream's, where it gave one; `model` is written as clients write it.
    """

    leaf: Leaf
    model: str
    latency_ms: int
    text: str = ""
    receipt: Receipt | None = None
    error: str | None = None
    status: int | None = None


async def probe_targets(
    engine: Engine,
    caller: Caller,
    combo: Combo,
    probe: Probe,
    field: str,
    finished: Callable[[Probed], Awaitable[None]] | None = None,
) -> tuple[Probed, ...]:
    """Ask every target with an account at once, 20 s each; in the order of the combo.

    Args:
        field: the input field that names the combo, for errors.
        finished: called with each target as it ends.

    Raises:
        Conflict: the combo is switched off.
        ValidationFailed: it has no target with an account.
    """
    if not combo.is_active:
        raise Conflict(f"Combo '{combo.name}' is switched off. Switch it on first.")
    seen = survey(RouteFacts(model=combo.name), engine.snapshot, engine.live.world())
    targets = [leaf for leaf in leaves(seen.root) if leaf.accounts]
    if not targets:
        raise ValidationFailed([(field, "has no target with an active account")])

    async def one(leaf: Leaf) -> Probed:
        found = await _probed(engine, caller, leaf, probe)
        if finished is not None:
            await finished(found)
        return found

    return tuple(await asyncio.gather(*map(one, targets)))


async def _probed(engine: Engine, caller: Caller, leaf: Leaf, probe: Probe) -> Probed:
    name = engine.snapshot.written(leaf.provider, leaf.model)
    request = ChatRequest(
        model=name,
        messages=(Message("user", (Text(probe.prompt),)),),
        max_output_tokens=probe.max_output_tokens,
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
    try:
        answer = await engine.chat.complete(call)
    except OmniRouteError as failed:
        return Probed(
            leaf,
            name,
            engine.now_ms() - started_ms,
            error=str(failed),
            status=failed.status if isinstance(failed, UpstreamFailed) else None,
        )
    text = answer.reply.text
    return Probed(
        leaf,
        name,
        engine.now_ms() - started_ms,
        text=text,
        receipt=answer.receipt,
        error=None if text else "The answer has no text.",
    )
