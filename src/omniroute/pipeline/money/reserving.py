"""Money is set aside before anything is sent; where it is short, less is asked for."""

from collections.abc import Sequence
from dataclasses import replace

from msgspec.structs import replace as replace_fields

from omniroute.catalog.prices import FREE, Price
from omniroute.chat import ChatRequest, Usage
from omniroute.errors import BudgetExceeded
from omniroute.pipeline.money.budgets import Budget, budgets_for
from omniroute.pipeline.money.estimate import need_of
from omniroute.pipeline.money.ledger import SLICE_TOKENS, Reservation
from omniroute.pipeline.settlement import Settlement
from omniroute.pipeline.streams.seam import with_turns
from omniroute.routing.plan import Plan
from omniroute.routing.sizes import input_tokens
from omniroute.routing.targets import Candidate


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
                f"of ${call.max_cost_micro_usd / 1e6:.6f}. Raise the budget or send less."
            )
    budgets = budgets_for(call.caller, call.session, books.snapshot.budgets)
    last = [books.snapshot.price(row.provider, row.model) for row in made.standby]
    need = need_of(heaviest or call.request, [*prices, *last])
    try:
        held = await books.ledger.reserve(call.caller.owner, need, budgets)
    except BudgetExceeded as error:
        priced = list(zip(made.candidates, prices, strict=True))
        made, held = await _degraded(books, made, priced, heaviest or call.request, budgets, error)
    books.reservation = held
    call.lap("policy")
    _shortened(books, held)
    return made


async def _degraded(
    books: Settlement,
    made: Plan,
    priced: Sequence[tuple[Candidate, Price | None]],
    request: ChatRequest,
    budgets: Sequence[Budget],
    refused: BudgetExceeded,
) -> tuple[Plan, Reservation]:
    """The plan with what is still to be had at a limit: the cheapest where that is wished, else
    what is free.

    Raises:
        BudgetExceeded: the limit refuses, or nothing of the plan is cheap enough.
    """
    action = refused.extras["action"]
    ways: list[tuple[str, Price | None]] = []
    if action == "cheapen":
        ways.append(("only what costs least was asked", _cheapest(request, priced)))
    if action in ("cheapen", "degrade"):
        ways.append(("only what costs nothing was asked", FREE))
    for told, price in ways:
        rows = tuple(row for row, own in priced if own == price)
        if price is None or not rows:
            continue
        try:
            need = need_of(request, [price])
            held = await books.ledger.reserve(books.call.caller.owner, need, budgets)
        except BudgetExceeded:
            continue
        books.candidates = rows
        books.plan = replace_fields(made, notes=(*made.notes, f"{told}: {refused}"))
        return books.plan, held
    raise refused


def _cheapest(
    request: ChatRequest, priced: Sequence[tuple[Candidate, Price | None]]
) -> Price | None:
    """The price at which a request can cost least, of those that are known and not nothing."""
    known = [price for _, price in priced if price is not None and price != FREE]
    return min(known, key=lambda one: need_of(request, [one]).cost(SLICE_TOKENS), default=None)


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
