"""The record of one decision: the plan, what was tried, and what came of it."""

from msgspec import Struct

from omniroute.chat import Usage
from omniroute.routing.plan import Plan
from omniroute.routing.targets import Candidate


class Change(Struct, frozen=True):
    """One thing that was changed in a request: a code for programs, a text for people."""

    code: str
    text: str


class AttemptTrace(Struct, frozen=True, kw_only=True):
    """One attempt. Times are milliseconds; `verdict` and `error` are None for a success.

    `left_behind` is what the request held for another provider and this one was not sent.
    `continues_at` is how many characters of the answer earlier targets had given. `key` is the
    place of the key that was sent, of several the account has; 0 is its first. `dialect` is what
    the provider was spoken to in. `usage` and its cost (micro-USD) are those of an attempt whose
    answer, or part of one, reached the caller; `price` is USD per million tokens by kind. `proxy`
    is the configured proxy it went through.
    """

    number: int
    provider: str
    model: str
    connection: str
    connection_name: str
    reasons: tuple[str, ...]
    started_at_ms: int
    duration_ms: int
    ttft_ms: int | None = None
    status: int = 200
    verdict: str | None = None
    action: str | None = None
    error: str | None = None
    retry_after_ms: int | None = None
    left_behind: tuple[str, ...] = ()
    continues_at: int | None = None
    key: int | None = None
    dialect: str | None = None
    usage: Usage | None = None
    cost_micro_usd: int | None = None
    price: dict[str, float] | None = None
    proxy: str | None = None


class RouteTrace(Struct, frozen=True, kw_only=True):
    """Everything that is kept about how a request was answered. Money is micro-USD.

    `plan` is None when the request was refused before there was one; `outcome` is `completed`,
    `failed`, `cut`, `stopped` (its budget ended it), `refused` or `client_gone`; `status` is 0
    where no upstream was asked. `source` is where the answer came from, `cache` what the response
    cache had to say: `hit`, `miss`, or why it was not asked. `changes` is what was sent otherwise
    than asked. `session_id` is the conversation the request belongs to, `run_id` and `task_id` the
    undertaking and the A2A task it was made for.
    """

    request_id: str
    door: str
    client_dialect: str | None
    stream: bool
    api_key_id: str | None
    session_id: str | None
    requested_model: str
    plan: Plan | None
    attempts: tuple[AttemptTrace, ...]
    outcome: str
    status: int
    error: str | None
    started_at_ms: int
    duration_ms: int
    waited_ms: int = 0
    provider: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    usage_estimated: bool = False
    reserved_micro_usd: int | None = None
    cost_micro_usd: int | None = None
    translated: bool = False
    source: str = "upstream"
    cache: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    changes: tuple[Change, ...] = ()

    def planned(self, attempt: AttemptTrace) -> Candidate | None:
        """The candidate of the plan that an attempt was made for."""
        place = attempt.provider, attempt.connection, attempt.model
        candidates = self.plan.candidates if self.plan is not None else ()
        return next((row for row in candidates if row.place == place), None)
