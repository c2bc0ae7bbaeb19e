"""Completing arguments of prompts and variables of templates. 03 §10.3."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import mcp_types as types

from omniroute.catalog.models import known_models
from omniroute.engine import Engine
from omniroute.routing.strategies import STRATEGIES
from omniroute_mcp.prompts import PROMPTS
from omniroute_mcp.resources.row import ResourceRow

MOST = 100
PERIODS = ("session", "day", "week", "month")
TASK_TYPES = ("coding", "review", "planning", "analysis", "debugging", "documentation")

Resolved: TypeAlias = Mapping[str, str]
"""Arguments that have their value already."""


def _providers(engine: Engine, _resolved: Resolved) -> Iterable[str]:
    return engine.snapshot.accounts


def _combos(engine: Engine, _resolved: Resolved) -> Iterable[str]:
    return (name for combo in engine.snapshot.combos.values() for name in (combo.name, combo.id))


def _models(engine: Engine, resolved: Resolved) -> Iterable[str]:
    named = resolved.get("provider")
    providers = [named] if named else list(engine.snapshot.accounts)
    return (model.id for provider in providers for model in known_models(provider))


_VALUES: Mapping[str, Callable[[Engine, Resolved], Iterable[str]]] = {
    "provider": _providers,
    "comboId": _combos,
    "model": _models,
    "taskType": lambda _engine, _resolved: TASK_TYPES,
    "period": lambda _engine, _resolved: PERIODS,
    "strategy": lambda _engine, _resolved: STRATEGIES,
}


def completion(
    engine: Engine, rows: Sequence[ResourceRow], params: types.CompleteRequestParams
) -> types.Completion:
    """The values that begin with what is written, in any case; nothing for an unknown argument."""
    resolved = (params.context.arguments if params.context else None) or {}
    values = _values(engine, rows, params, resolved)
    begun = params.argument.value.lower()
    found = list(dict.fromkeys(one for one in values if one.lower().startswith(begun)))
    return types.Completion(values=found[:MOST], total=len(found), has_more=len(found) > MOST)


def _values(
    engine: Engine,
    rows: Sequence[ResourceRow],
    params: types.CompleteRequestParams,
    resolved: Resolved,
) -> Iterable[str]:
    """Everything the argument may be: names mean the same in every prompt and template."""
    if isinstance(params.ref, types.PromptReference):
        known = params.ref.name in PROMPTS
    else:
        known = any(row.uri == params.ref.uri for row in rows)
    kind = _VALUES.get(params.argument.name) if known else None
    return kind(engine, resolved) if kind is not None else ()
