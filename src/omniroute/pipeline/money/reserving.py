"""Money is set aside before anything is sent; where it is short, less is asked for."""

from collections.abc import Sequence
from dataclasses import replace

from msgspec.structs import replace as replace_fields

from omniroute.catalog.prices import FREE
from omniroute.chat import ChatRequest, Usage
from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import budgets_for
from omniroute.pipeline.money.estimate import need_of
from omniroute.pipeline.money.ledger import Reservation
from omniroute.pipeline.settlement import Settlement
from omniroute.pipeline.streams.seam import with_turns
from omniroute.routing.plan import Plan
from omniroute.routing.sizes import input_tokens
from omniroute.routing.targets import Candidate

OVER_OWN_BUDGET = "request_budget_exceeded"
"""Code of the refusal that the request's own author can lift."""


async def reserve(books: Settlement, made: Plan, heaviest: ChatRequest | None = None) -> Plan:
    """Set aside the most a request can cost. Near a limit its answer is cut to what is left.

    Args:
        heaviest: the most that some target will have to read, where that is more than was asked.

    Returns:
        The plan, with a note where only a part of it is gone by.

    Raises:
        BudgetExceeded: what is left is too little, and nothing of the plan is free.
    """
    call = books.call
    prices = [books.snapshot.price(row.provider, row.model) for row in made.candidates]
    if call.max_cost_micro_usd is not None:
        read = Usage(input_tokens=input_tokens(call.request))
        cheapest = min((p.cost_micro_usd(read) for p in prices if p), default=0)
        if cheapest > call.max_cost_micro_usd:
            raise BudgetExceeded(
                f"Reading this request costs at least ${cheapest / 1e6:.6f}, over its budget "
                f"of ${call.max_cost_micro_usd / 1e6:.6f}. Raise the budget or send less.",
                code=OVER_OWN_BUDGET,
                extras={
                    "needed_usd": cheapest / 1e6,
                    "limit_usd": call.max_cost_micro_usd / 1e6,
                    "spent_usd": 0.0,
                },
            )
    budgets = budgets_for(call.caller, call.session, books.snapshot.budgets)
    last = [books.snapshot.price(row.provider, row.model) for row in made.standby]
    need = need_of(heaviest or call.request, [*prices, *last])
    try:
        held = await books.ledger.reserve(call.caller.owner, need, budgets)
    except BudgetExceeded as error:
        free = [row for row, p in zip(made.candidates, prices, strict=True) if p == FREE]
        if error.extras["action"] != "degrade" or not free:
            raise
        books.candidates = tuple(free)
        note = f"only what costs nothing was asked: {error}"
        books.plan = made = replace_fields(made, notes=(*made.notes, note))
        need = need_of(heaviest or call.request, [FREE])
        held = await books.ledger.reserve(call.caller.owner, need, budgets)
    books.reservation = held
    call.lap("policy")
    _shortened(books, held)
    return made


async def go_on(
    books: Settlement, queue: Sequence[Candidate], said: str, spent_micro_usd: int
) -> bool:
    """Set aside what it takes that a target of `queue` goes on after what was `said`.

    False where that is too much.
    """
    held = books.reservation
    if held is None or not held.purses:
        return True
    prices = [books.snapshot.price(row.provider, row.model) for row in queue]
    need = need_of(with_turns(books.call.request, said), prices)
    if not await books.ledger.go_on(held, spent_micro_usd, need):
        return False
    _shortened(books, held)
    return True


def _shortened(books: Settlement, held: Reservation) -> None:
    """Near a limit the upstream itself keeps to what is left."""
    if held.max_tokens is None:
        return
    call = books.call
    most = max(1, held.max_tokens // max(1, call.request.n))
    shorter = replace_fields(call.request, max_output_tokens=most)
    books.call = replace(call, request=shorter, body=None)
