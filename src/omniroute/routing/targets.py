"""What a plan is made of: targets as they were found, with everything that was known of them.

A `Survey` holds all the planner looked at, so a plan can be made again from it bit for bit.
Nothing in it is a guess: what was not measured is None.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

BreakerState: TypeAlias = Literal["CLOSED", "OPEN", "HALF_OPEN"]

Place: TypeAlias = tuple[str, str, str]
"""Provider id, connection id, upstream model id."""


class Performance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured of a model at a provider in the last 24 hours.

    `success_rate` is 0-1. Latency is the time to the first content of a stream, or to the whole
    of a whole reply; None with too few samples.
    """

    samples: int
    success_rate: float
    avg_latency_ms: float | None = None
    p95_latency_ms: float | None = None
    latency_stddev_ms: float | None = None


class AccountUse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an account was used: last at (epoch ms), and how often in a row."""

    last_used_ms: int | None = None
    in_a_row: int = 0


class Quota(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left of an account's quota.

    `used_5h` and `used_7d` are shares (0-1) of windows of about that length; `used` is the share
    of the fullest window. Resets are epoch milliseconds, `interval_ms` is how long the shortest
    window runs. `tier` is what kind of account the provider says it is.
    """

    used: float | None = None
    used_5h: float | None = None
    used_7d: float | None = None
    reset_5h_ms: int | None = None
    reset_7d_ms: int | None = None
    exhausted: bool = False
    interval_ms: int | None = None
    tier: str | None = None

    @property
    def next_reset_ms(self) -> int | None:
        """When the first known window starts afresh."""
        known = [at for at in (self.reset_5h_ms, self.reset_7d_ms) if at is not None]
        return min(known) if known else None


class LastGood(Struct, frozen=True, kw_only=True):
    """Who answered a combo last, and when (epoch ms)."""

    provider: str
    model: str
    connection: str
    at_ms: int


class SeenAccount(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account a target may use. `blocked` says why it may not be tried now, `remark` what is
    to be said about its quota if it may."""

    id: str
    priority: int
    blocked: str | None = None
    until_ms: int | None = None
    use: AccountUse | None = None
    quota: Quota | None = None
    tier: str | None = None
    backoff: int = 0
    last_status: int | None = None
    in_flight: int = 0
    remark: str | None = None


class Leaf(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="target"):
    """A provider and one of its models, with the accounts that could serve it.

    `key` is the path of step ids that leads here. Prices are micro-USD per million tokens,
    `cost_micro_usd` is what the request would cost here. `account_turn` counts how often an
    account of the provider was dealt.
    """

    key: str
    provider: str
    model: str
    step: str | None = None
    weight: float = 0
    extended_context: bool = False
    accounts: tuple[SeenAccount, ...] = ()
    breaker: BreakerState = "CLOSED"
    performance: Performance | None = None
    requests: int | None = None
    input_price: int | None = None
    output_price: int | None = None
    cost_micro_usd: int | None = None
    context_tokens: int | None = None
    tools: bool | None = None
    fitness: float | None = None
    healing: "Healing | None" = None
    account_turn: int = 0


class Healing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why `auto` stays away from a provider for now. Times are milliseconds, `since` an epoch."""

    since_ms: int
    pause_ms: int
    reason: str
    probes: int = 0

    def over(self, now_ms: int) -> bool:
        """Whether the pause has passed."""
        return now_ms >= self.since_ms + self.pause_ms


class Tuning(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a combo's configuration tells its strategy. Names as in 05 §2.2."""

    tiered: bool = False
    manifest: bool = False
    session_weight: float = 0.35
    weekly_weight: float = 0.65
    tie_band: float = 0.05
    guard: float = 0.10
    weights: dict[str, float] | None = None
    mode_pack: str | None = None
    exploration: float = 0.0
    router: str = "rules"
    budget_cap_micro_usd: int | None = None
    cap_is_hard: bool = False
    pool: tuple[str, ...] = ()


class Branch(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="combo"):
    """A combo: what it chooses from, how, and the state its strategy goes by.

    `turn` is the value of the counter named `counter`; both are unset where nobody counts.
    `protects` says that conversations keep their model, which is `pinned` (provider and model)
    for the one at hand.
    """

    key: str
    combo: str
    strategy: str
    children: tuple["Leaf | Branch", ...] = ()
    step: str | None = None
    weight: float = 0
    counter: str | None = None
    turn: int = 0
    last_good: LastGood | None = None
    tuning: Tuning = Tuning()
    protects: bool = False
    pinned: tuple[str, str] | None = None


Node: TypeAlias = Leaf | Branch


class Standby(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target that is asked only after others have failed as `when` says.

    `combo_unavailable`: when a combo's targets are all down. `out_of_money`: when an account has
    nothing left to spend. `max_output_tokens` is the longest answer it may give.
    """

    when: Literal["combo_unavailable", "out_of_money"]
    leaf: Leaf
    max_output_tokens: int | None = None


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What strategies may know about a request. None: nobody needed it, so nobody looked.

    `task` is a row of the fitness table, `specificity` 0-100 (05 §3.9).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    tools: int = 0
    images: bool = False
    intent: str | None = None
    task: str | None = None
    specificity: int | None = None


class Exclusion(Struct, frozen=True, kw_only=True):
    """A candidate that is not tried, and why. `until_ms` is epoch ms, None when unknown."""

    provider: str
    model: str
    connection: str | None
    reason: str
    until_ms: int | None = None


class RouteFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request asks for. Empty `allowed_*` and `tags` mean no restriction.

    `session` is the name under which the client's conversation sticks to an account,
    `conversation` the one it is known by where it need not be named; None where nobody asks.
    `auto_resolve` takes the best of several providers that list the model.
    """

    model: str
    allowed_models: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    pinned_connection: str | None = None
    session: str | None = None
    conversation: str | None = None
    tags: tuple[str, ...] = ()
    all_tags: bool = False
    auto_resolve: bool = False
    asked: Asked = Asked()


class Survey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a plan was made from. `bound` is the account the session used last, by provider.

    `standby` is what is asked when the others have failed in a certain way.
    `account_strategy` orders the accounts of a target; `sticky` is how many requests in a row
    one of them serves under round-robin.
    """

    facts: RouteFacts
    root: Node
    now_ms: int
    account_strategy: str = "fill-first"
    sticky: int = 3
    bound: dict[str, str] = {}
    excluded: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()
    standby: tuple[Standby, ...] = ()


class Factor(Struct, frozen=True, kw_only=True):
    """One factor of a score.

    `value` is 0-1, or None when nothing was measured; then `counted` is the mean of the others,
    so that nobody gains or loses by being unknown. None of both: nobody was measured, and the
    factor does not count.
    """

    name: str
    value: float | None
    weight: float
    counted: float | None


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target at one account, with why it stands where it stands.

    `turns` are the counters of the combos it was chosen through. `when` is set for what is asked
    only after others have failed so; see `Standby`. `stands_in_for` is the model of the same
    family that was not there.
    """

    provider: str
    model: str
    connection: str
    step: str | None = None
    key: str = ""
    extended_context: bool = False
    reasons: tuple[str, ...] = ()
    score: float | None = None
    factors: tuple[Factor, ...] = ()
    turns: tuple[str, ...] = ()
    when: str | None = None
    max_output_tokens: int | None = None
    stands_in_for: str | None = None

    @property
    def place(self) -> Place:
        """Provider, account and model: what health is kept of."""
        return self.provider, self.connection, self.model
