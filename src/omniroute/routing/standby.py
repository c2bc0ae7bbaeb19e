"""Who is asked after others have failed in a certain way. 05 §1.1 (11b), §1.9, §1.13.

What stands by for a whole request is part of its plan: a dry run shows it, a replay finds it
again. What stands in for one model is looked up when that model turns out not to be there.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from omniroute.catalog.models import context_tokens, known_models
from omniroute.catalog.substitutes import relatives, shipped_substitutes
from omniroute.chat import ChatRequest
from omniroute.errors import InvalidRequest
from omniroute.routing.naming.permission import model_allowed
from omniroute.routing.naming.resolve import SingleModel, checked_name, resolve
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Branch, Candidate, Leaf, Node, RouteFacts, Standby


def standby_of(
    root: Node,
    facts: RouteFacts,
    snapshot: Snapshot,
    request: ChatRequest | None,
    with_accounts: Callable[[Leaf], Leaf],
) -> tuple[Standby, ...]:
    """What stands by for a request.

    Args:
        with_accounts: fills in the accounts that may serve a target, healthy or not.
    """
    found: list[Standby] = []
    if isinstance(root, Branch):
        found += _for_combo(facts, snapshot)
    if request is None or not request.tools:
        found += _for_money(root, snapshot)
    allowed = (row for row in found if _allowed(row.leaf.provider, row.leaf.model, facts, snapshot))
    filled = (replace(row, leaf=with_accounts(row.leaf)) for row in allowed)
    return tuple(row for row in filled if row.leaf.accounts)


def stand_ins(failed: Candidate, facts: RouteFacts, snapshot: Snapshot) -> list[Candidate]:
    """Models of the same family at the same account, the nearest first."""
    rule, provider = snapshot.shaping.families, failed.provider
    if not rule.enabled:
        return []
    account = snapshot.connections[failed.connection]
    served = {model.id for model in known_models(provider)}
    why = f"stands in for {failed.model}, which is not there or too small"
    return [
        Candidate(
            provider=provider,
            model=model,
            connection=failed.connection,
            step=failed.step,
            key=failed.key,
            reasons=(why,),
            stands_in_for=failed.model,
        )
        for model in relatives(failed.model, (*rule.families, *shipped_substitutes().families))
        if (model in served or provider in snapshot.listing.get(model, ()))
        and not snapshot.excludes(account, model)
        and _allowed(provider, model, facts, snapshot)
    ]


def roomier(found: list[Candidate], failed: Candidate) -> list[Candidate]:
    """The same with the largest window first, where it is larger than the one that was too small.

    What nobody knows the window of comes after, as it was.
    """
    known = context_tokens(failed.provider, failed.model) or 0
    windows = {row.model: context_tokens(row.provider, row.model) or 0 for row in found}
    return sorted(found, key=lambda row: -(windows[row.model] > known) * windows[row.model])


def _for_combo(facts: RouteFacts, snapshot: Snapshot) -> Iterator[Standby]:
    name = snapshot.settings["globalFallbackModel"]
    if not name or name == facts.model:
        return
    try:
        found = resolve(checked_name(name), snapshot)
    except InvalidRequest:
        return  # a setting that names nothing must not stand between a request and its answer
    if isinstance(found, SingleModel):
        leaf = Leaf(key="", provider=found.provider, model=found.model)
        yield Standby(when="combo_unavailable", leaf=leaf)


def _for_money(root: Node, snapshot: Snapshot) -> Iterator[Standby]:
    rule = snapshot.shaping.emergency
    provider = snapshot.provider_named(rule.provider)
    same = isinstance(root, Leaf) and (root.provider, root.model) == (provider, rule.model)
    if provider is not None and rule.enabled and provider in snapshot.accounts and not same:
        leaf = Leaf(key="", provider=provider, model=rule.model)
        yield Standby(when="out_of_money", leaf=leaf, max_output_tokens=rule.max_output_tokens)


def _allowed(provider: str, model: str, facts: RouteFacts, snapshot: Snapshot) -> bool:
    names = (provider, *snapshot.providers[provider].names)
    return model_allowed(facts.allowed_models, [f"{name}/{model}" for name in names])
