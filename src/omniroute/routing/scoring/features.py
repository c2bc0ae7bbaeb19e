"""What is known of targets and accounts, looked up only where a strategy asks for it."""

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from omniroute.catalog.models import context_tokens
from omniroute.chat import ChatRequest, Image, Usage
from omniroute.routing.scoring.intent import TASKS, intent_of
from omniroute.routing.scoring.specificity import specificity
from omniroute.routing.sizes import input_tokens
from omniroute.routing.snapshot import Snapshot
from omniroute.routing.targets import Leaf, RouteFacts, SeenAccount
from omniroute.routing.world import World
from omniroute.storage.records.configuration import Connection

EXPECTED_OUTPUT_TOKENS = 1_000
"""How long an answer is taken to be where the request does not say; shown in the trace."""


class Features:
    """Looks things up for one survey; what it found out about the request is `asked`."""

    def __init__(
        self, facts: RouteFacts, snapshot: Snapshot, world: World, request: ChatRequest | None
    ) -> None:
        self._facts = facts
        self._snapshot = snapshot
        self._world = world
        self._request = request
        self.asked = facts.asked

    def account(self, leaf: Leaf, row: Connection, reads: AbstractSet[str]) -> SeenAccount:
        """An account as it is now."""
        world, pinned = self._world, self._facts.pinned_connection
        blocked = world.blocked(leaf.provider, row.id, leaf.model) if pinned is None else None
        reason, until_ms = blocked or (None, None)
        how = self._snapshot.settings["fallbackStrategy"]
        seen = SeenAccount(
            id=row.id,
            priority=row.priority,
            blocked=reason,
            until_ms=until_ms,
            quota=world.quota(row.id) if "quota" in reads or how == "p2c" else None,
        )
        remark = world.remark(row.id) if reason is None else None
        if remark is not None:
            seen = replace(seen, remark=remark)
        if "quota" in reads:
            told, known = row.options.get("tier"), seen.quota.tier if seen.quota else None
            seen = replace(seen, tier=told if isinstance(told, str) else known)
        if how in ("round-robin", "least-used", "p2c"):
            backoff, status = world.trouble(row.id)
            seen = replace(
                seen,
                use=world.use(row.id),
                backoff=backoff,
                last_status=status,
                in_flight=world.in_flight(row.id),
            )
        return seen

    def target(self, leaf: Leaf, reads: AbstractSet[str], combo: str | None) -> Leaf:
        """A target with what its combo's strategies read of it."""
        world, name = self._world, f"{leaf.provider}/{leaf.model}"
        if self._snapshot.settings["fallbackStrategy"] == "strict-random":
            leaf = replace(leaf, account_turn=world.turn(f"accounts of {leaf.provider}"))
        if not reads:
            return leaf
        if "requests" in reads and combo is not None:
            leaf = replace(leaf, requests=world.requests(combo, name))
        if "performance" in reads:
            leaf = replace(
                leaf,
                breaker=world.breaker(leaf.provider),
                performance=world.performance(leaf.provider, leaf.model),
            )
        if "context" in reads:
            leaf = replace(leaf, context_tokens=context_tokens(leaf.provider, leaf.model))
        if "specificity" in reads:
            self._weigh_request()
        if "price" in reads:
            leaf = self._priced(leaf, cost="cost" in reads)
        if "fitness" in reads:
            leaf = replace(
                leaf,
                fitness=self._snapshot.fitness.score(leaf.model, self.asked.task or "default"),
                healing=world.healing(leaf.provider),
            )
        return leaf

    def _priced(self, leaf: Leaf, *, cost: bool) -> Leaf:
        price = self._snapshot.price(leaf.provider, leaf.model)
        if price is None:
            return leaf
        leaf = replace(leaf, input_price=price.input.base, output_price=price.output.base)
        if not cost:
            return leaf
        usage = Usage(
            input_tokens=self.asked.input_tokens or 0,
            output_tokens=self.asked.output_tokens or EXPECTED_OUTPUT_TOKENS,
        )
        return replace(leaf, cost_micro_usd=price.cost_micro_usd(usage))

    def _weigh_request(self) -> None:
        """Look at the request itself, once."""
        request, settings = self._request, self._snapshot.settings
        if self.asked.specificity is not None or request is None:
            return
        tokens = self.asked.input_tokens
        tokens = input_tokens(request) if tokens is None else tokens
        intent = None
        if settings["intentDetectionEnabled"]:
            intent = intent_of(
                request,
                settings["intentSimpleMaxWords"],
                {
                    "code": settings["intentExtraCodeKeywords"],
                    "reasoning": settings["intentExtraReasoningKeywords"],
                    "simple": settings["intentExtraSimpleKeywords"],
                },
            )
        self.asked = replace(
            self.asked,
            input_tokens=tokens,
            output_tokens=self.asked.output_tokens or request.max_output_tokens,
            tools=len(request.tools),
            images=any(isinstance(part, Image) for row in request.messages for part in row.parts),
            intent=intent,
            task=self.asked.task or TASKS.get(intent or "medium", "default"),
            specificity=specificity(request, tokens),
        )
