"""The first half of a plan: everything that could answer, with all that is known of it."""

from collections.abc import Iterable, Sequence
from zlib import crc32

from msgspec.structs import replace

from omniroute.catalog.models import known_models
from omniroute.catalog.names import did_you_mean
from omniroute.chat import ChatRequest
from omniroute.errors import AmbiguousModel, InvalidRequest, NoCredentials
from omniroute.routing.combo_config import ComboConfig
from omniroute.routing.naming.permission import require_permission
from omniroute.routing.naming.resolve import (
    AutoRoute,
    NamedCombo,
    Resolution,
    SingleModel,
    checked_name,
    resolve,
    suggest_model,
)
from omniroute.routing.scoring.auto import VARIANTS
from omniroute.routing.scoring.features import Features
from omniroute.routing.scoring.tuning import in_tiers, tuning_of
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.standby import standby_of
from omniroute.routing.strategies import STRATEGIES
from omniroute.routing.targets import (
    Branch,
    Exclusion,
    Leaf,
    Node,
    RouteFacts,
    Survey,
    Tuning,
)
from omniroute.routing.world import World
from omniroute.storage.records.configuration import Combo, ComboStep, Connection, ModelStep

PER_TARGET = "@"
"""Stands between the key of a target and the account it was split up by."""


def survey(
    facts: RouteFacts, snapshot: Snapshot, world: World, request: ChatRequest | None = None
) -> Survey:
    """Read the configuration and the world for one request.

    Raises:
        InvalidRequest: the model name is malformed, unknown, ambiguous or has no account.
        Forbidden: the caller's key may not use this model.
    """
    name = checked_name(facts.model)
    found = _resolved(name, facts, snapshot)
    surveying = _Surveying(facts, snapshot, world, request)
    root = surveying.root(name, found)
    require_permission(facts, name, root, snapshot)
    if facts.tags and not surveying.tags_matched:
        surveying = _Surveying(replace(facts, tags=()), snapshot, world, request)
        root = surveying.root(name, found)
        surveying.notes.append(f"no account has the tags {', '.join(facts.tags)}: all were asked")
    settings = snapshot.settings
    providers = {leaf.provider for leaf in leaves(root)} if facts.session else set()
    bound = {
        provider: account
        for provider in sorted(providers)
        if (account := world.bound(facts.session or "", provider)) is not None
    }
    excluded, notes = tuple(surveying.excluded), tuple(surveying.notes)
    return Survey(
        standby=standby_of(root, facts, snapshot, request, surveying.standing_by),
        facts=replace(facts, asked=surveying.features.asked),
        root=root,
        now_ms=world.now_ms,
        account_strategy=settings["fallbackStrategy"],
        sticky=settings["stickyRoundRobinLimit"],
        bound=bound,
        excluded=excluded,
        notes=notes,
    )


def _resolved(name: str, facts: RouteFacts, snapshot: Snapshot) -> Resolution:
    """What a name stands for. Of several providers the one whose best account comes first, for
    keys that may leave it open."""
    try:
        return resolve(name, snapshot)
    except AmbiguousModel as several:
        usable = [one for one in several.providers if one in snapshot.accounts]
        if not (facts.auto_resolve and usable):
            raise
    best = min(usable, key=lambda one: snapshot.accounts[one][0].priority)
    return resolve(f"{best}/{name}", snapshot)


def leaves(node: Node) -> list[Leaf]:
    """Every target below a node, in the order of the steps."""
    if isinstance(node, Leaf):
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]


def per_account(children: Iterable[Node]) -> tuple[Node, ...]:
    """Targets split up, so that each stands for one account."""
    return tuple(
        one
        for child in children
        for one in (
            [
                replace(child, key=f"{child.key}{PER_TARGET}{row.id}", accounts=(row,))
                for row in child.accounts
            ]
            if isinstance(child, Leaf)
            else [child]
        )
    )


class _Surveying:
    """One survey in the making."""

    def __init__(
        self, facts: RouteFacts, snapshot: Snapshot, world: World, request: ChatRequest | None
    ) -> None:
        self._facts = facts
        self._snapshot = snapshot
        self._world = world
        self._reads: frozenset[str] = frozenset()
        self.features = Features(facts, snapshot, world, request)
        self.excluded: list[Exclusion] = []
        self.notes: list[str] = []
        self.tags_matched = False

    def root(self, name: str, found: SingleModel | NamedCombo | AutoRoute) -> Node:
        """The whole tree of a request."""
        match found:
            case NamedCombo(combo):
                self._reads = self._read_by(combo, ())
                return self._branch(combo, "", (), None)
            case AutoRoute(variant):
                self._reads = STRATEGIES["auto"].reads
                return self._auto(variant)
            case SingleModel(provider, model, extended):
                _require_account(name, provider, self._snapshot)
                bare = Leaf(key="", provider=provider, model=model, extended_context=extended)
                return self._with_accounts(bare, None, ())

    def _branch(
        self, combo: Combo, key: str, path: tuple[str, ...], step: ComboStep | None
    ) -> Branch:
        config = self._snapshot.combo_configs[combo.name]
        inside = (*path, combo.name)
        steps = in_tiers(combo.steps, config.composite_tiers)
        children: list[Node] = []
        for one in steps:
            below = f"{key}>{one.id}" if key else one.id
            if isinstance(one, ModelStep):
                leaf = self._leaf(one, below, combo)
                children += [leaf] if leaf is not None else []
                continue
            nested = self._nested(one, inside, config)
            if nested is None:
                continue
            branch = self._branch(nested, below, inside, one)
            flat = config.nested_mode == "flatten"
            children += branch.children if flat else [branch]
        return self._finished(
            Branch(
                key=key,
                combo=combo.name,
                strategy=combo.strategy,
                children=tuple(children),
                step=step.id if step is not None else None,
                weight=step.weight if step is not None else 0,
                tuning=tuning_of(config),
                protects=combo.context_cache_protection,
                pinned=self._pinned(combo) if not path else None,
            )
        )

    def _pinned(self, combo: Combo) -> tuple[str, str] | None:
        conversation = self._facts.conversation
        if not combo.context_cache_protection or conversation is None:
            return None
        return self._world.pinned(conversation, combo.name)

    def _finished(self, branch: Branch) -> Branch:
        """With the state its strategy goes by."""
        reads = STRATEGIES[branch.strategy].reads
        counter = None
        if "turn" in reads:
            counter = branch.combo
            if branch.strategy == "strict-random":
                free = ",".join(child.key for child in branch.children if _free(child))
                counter = f"{branch.combo}#{crc32(free.encode()):08x}"
        return replace(
            branch,
            counter=counter,
            turn=self._world.turn(counter) if counter is not None else 0,
            last_good=self._world.last_good(branch.combo) if "last_good" in reads else None,
        )

    def _nested(self, step: ComboStep, path: tuple[str, ...], config: ComboConfig) -> Combo | None:
        nested = self._snapshot.combos.get(step.combo_name)
        if nested is None or not nested.is_active:
            self.notes.append(f"combo '{step.combo_name}' does not exist or is switched off")
            return None
        if step.combo_name in path or len(path) > config.max_combo_depth:
            self.notes.append(f"combo '{step.combo_name}' is nested in itself or too deep")
            return None
        return nested

    def _leaf(self, step: ModelStep, key: str, combo: Combo) -> Leaf | None:
        try:
            found = resolve(step.model, self._snapshot)
        except InvalidRequest as error:
            self.notes.append(f"step '{step.id}': {error}")
            return None
        if not isinstance(found, SingleModel):
            self.notes.append(f"step '{step.id}' does not name one model")
            return None
        if combo.allowed_providers and found.provider not in combo.allowed_providers:
            return None
        bare = Leaf(
            key=key,
            provider=found.provider,
            model=found.model,
            step=step.id,
            weight=step.weight,
            extended_context=found.extended_context,
        )
        return self._with_accounts(bare, step.connection_id, step.tags, combo.name)

    def _auto(self, variant: str | None) -> Branch:
        """One target per active account; the demo only where nothing else exists."""
        accounts = self._snapshot.auto_accounts
        children = [
            self._with_accounts(
                Leaf(key=account.id, provider=account.provider, model=model), account.id, ()
            )
            for account, model in accounts
        ]
        return self._finished(
            Branch(
                key="",
                combo=f"auto/{variant}" if variant else "auto",
                strategy="auto",
                children=tuple(children),
                tuning=VARIANTS.get(variant or "", Tuning()),
            )
        )

    def _with_accounts(
        self, leaf: Leaf, pinned: str | None, tags: Sequence[str], combo: str | None = None
    ) -> Leaf:
        accounts = self._snapshot.accounts.get(leaf.provider, ())
        chosen = [row for row in accounts if pinned in (None, row.id)]
        if not chosen:
            self._leave_out(leaf, pinned, "no_active_account")
        seen = [
            self.features.account(leaf, row, self._reads)
            for row in chosen
            if self._may(leaf, row, tags)
        ]
        return self.features.target(replace(leaf, accounts=tuple(seen)), self._reads, combo)

    def standing_by(self, leaf: Leaf) -> Leaf:
        """A target that is asked last, with the accounts that could serve it."""
        return self._with_accounts(leaf, None, ())

    def _may(self, leaf: Leaf, account: Connection, tags: Sequence[str]) -> bool:
        """Whether the request may use an account at all, whatever its health."""
        facts = self._facts
        if facts.allowed_connections and account.id not in facts.allowed_connections:
            reason = "not_allowed_for_key"
        elif facts.pinned_connection not in (None, account.id):
            reason = "another_connection_is_pinned"
        elif self._snapshot.excludes(account, leaf.model):
            reason = "model_excluded_for_account"
        elif facts.tags and not _tagged(facts, account, tags):
            reason = "without_the_tags"
        else:
            self.tags_matched = True
            return True
        self._leave_out(leaf, account.id, reason)
        return False

    def _leave_out(self, leaf: Leaf, account: str | None, reason: str) -> None:
        self.excluded.append(
            Exclusion(provider=leaf.provider, model=leaf.model, connection=account, reason=reason)
        )

    def _read_by(self, combo: Combo, path: tuple[str, ...]) -> frozenset[str]:
        """What the strategies of a combo and of those inside it want to know."""
        reads: frozenset[str] = STRATEGIES[combo.strategy].reads
        if combo.name in path:
            return reads
        for step in combo.steps:
            nested = (
                self._snapshot.combos.get(step.combo_name) if isinstance(step, ComboStep) else None
            )
            if nested is not None:
                reads |= self._read_by(nested, (*path, combo.name))
        return reads


def _free(node: Node) -> bool:
    return any(row.blocked is None for leaf in leaves(node) for row in leaf.accounts)


def _tagged(facts: RouteFacts, account: Connection, step_tags: Sequence[str]) -> bool:
    """Whether an account, or the step that names it, carries the request's tags. 05 §2.6."""
    own = account.options.get("tags")
    named = [*step_tags, *(own if isinstance(own, list) else [])]
    known = {str(tag).lower() for tag in named}
    wanted = set(facts.tags)
    return wanted <= known if facts.all_tags else bool(wanted & known)


def _require_account(name: str, provider: str, snapshot: Snapshot) -> None:
    if snapshot.accounts.get(provider):
        return
    row = snapshot.providers[provider]
    env = f" or start the gateway with {row.env[0]} set" if row.env else ""
    listed = [model.id for model in known_models(provider)]
    hint = suggest_model(name, snapshot) or (
        "" if name in listed else did_you_mean(name.rsplit("/", 1)[-1], listed)
    )
    raise NoCredentials(
        f"No credentials are configured for provider '{provider}' (asked for '{name}'). Add an "
        f"account with POST /api/providers{env}.{hint}",
        param="model",
    )
