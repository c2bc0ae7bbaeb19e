"""Budgets as routes (02 §9.2): of keys where the spec has them, of every scope beside."""

from typing import Annotated

from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Struct, UnsetType

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import delete, get, post
from omniroute.operations.money import budgets
from omniroute.operations.money.budgets import BudgetLimits, BudgetSummary, ScopeBudgetInput
from omniroute.pipeline.money.budgets import ScopeKind


class KeyBudgets(Struct, frozen=True):
    """Where every key stands, by key id."""

    budgets: dict[str, BudgetSummary]


class ScopeBudgets(Struct, frozen=True):
    """Where every scope with a budget stands."""

    budgets: list[BudgetSummary]


class BudgetSaved(Struct, frozen=True, kw_only=True, rename="camel"):
    """A budget as it holds now."""

    success: bool = True
    api_key_id: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    scope_id: str | UnsetType = UNSET
    budget: BudgetLimits


class BudgetRemoved(Struct, frozen=True):
    """It was removed."""

    success: bool = True


KeyId = Annotated[str | None, QueryParameter(name="apiKeyId")]
WantedKeyId = Annotated[str, QueryParameter(name="apiKeyId")]
WantedScope = Annotated[ScopeKind, QueryParameter(name="scope")]
WantedScopeId = Annotated[str, QueryParameter(name="scopeId")]


@get("/api/usage/budget", tags=["Budgets"], operation_id="get_budgets")
async def get_budgets(
    engine: TheEngine, operator: Operator, api_key_id: KeyId = None
) -> KeyBudgets | BudgetSummary:
    """Where every key stands; with `apiKeyId`, one of them."""
    if api_key_id is None:
        return KeyBudgets(await budgets.budget_summaries(engine, operator))
    return await budgets.budget_summary(engine, operator, "key", api_key_id)


@get("/api/usage/budget/bulk", tags=["Budgets"], operation_id="get_all_budgets")
async def get_all_budgets(engine: TheEngine, operator: Operator) -> KeyBudgets:
    """Where every key stands."""
    return KeyBudgets(await budgets.budget_summaries(engine, operator))


@post("/api/usage/budget", status_code=200, tags=["Budgets"], operation_id="set_budget")
async def set_budget(
    engine: TheEngine, operator: Operator, data: JSONBody[budgets.KeyBudgetInput]
) -> BudgetSaved:
    """Limit what a key may spend; every limit that is set holds over its own window."""
    limits = {name: getattr(data, name) for name in BudgetLimits.__struct_fields__}
    written = ScopeBudgetInput(scope="key", scope_id=data.api_key_id, **limits)
    saved = await budgets.set_budget(engine, operator, written)
    return BudgetSaved(api_key_id=data.api_key_id, budget=saved)


@delete("/api/usage/budget", status_code=200, tags=["Budgets"], operation_id="delete_budget")
async def delete_budget(
    engine: TheEngine, operator: Operator, api_key_id: WantedKeyId
) -> BudgetRemoved:
    """Remove a key's budget."""
    await budgets.delete_budget(engine, operator, "key", api_key_id)
    return BudgetRemoved()


@get("/api/usage/budget/scopes", tags=["Budgets"], operation_id="get_scope_budgets")
async def get_scope_budgets(engine: TheEngine, operator: Operator) -> ScopeBudgets:
    """Where every key, session and run with a budget stands."""
    return ScopeBudgets(await budgets.scope_budgets(engine, operator))


@post(
    "/api/usage/budget/scopes", status_code=200, tags=["Budgets"], operation_id="set_scope_budget"
)
async def set_scope_budget(
    engine: TheEngine, operator: Operator, data: JSONBody[ScopeBudgetInput]
) -> BudgetSaved:
    """Limit what a key, a session or everything one run causes may spend."""
    saved = await budgets.set_budget(engine, operator, data)
    return BudgetSaved(scope=data.scope, scope_id=data.scope_id, budget=saved)


@delete(
    "/api/usage/budget/scopes",
    status_code=200,
    tags=["Budgets"],
    operation_id="delete_scope_budget",
)
async def delete_scope_budget(
    engine: TheEngine, operator: Operator, kind: WantedScope, scope_id: WantedScopeId
) -> BudgetRemoved:
    """Remove the budget of a key, a session or a run."""
    await budgets.delete_budget(engine, operator, kind, scope_id)
    return BudgetRemoved()


BUDGETS: tuple[HTTPRouteHandler, ...] = (
    get_budgets,
    get_all_budgets,
    set_budget,
    delete_budget,
    get_scope_budgets,
    set_scope_budget,
    delete_scope_budget,
)
"""Every route about budgets."""
