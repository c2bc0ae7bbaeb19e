"""The values storage keeps, as the rest of the house sees them: frozen, typed, without SQL."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from omniroute.caller import RateRule
from omniroute.catalog.overrides import Stated
from omniroute.catalog.price_documents import SourceId

AuthType: TypeAlias = Literal["apikey", "oauth", "none"]


class Connection(Struct, frozen=True, kw_only=True):
    """One account: a credential for one provider or provider node.

    `api_key` is clear text in memory only. Times are ISO-8601 UTC with milliseconds.
    `options` is the spec's `providerSpecificData`. `quota_window_thresholds` are the percentages
    left, by window of its quota, at which it is not used.
    """

    id: str
    provider: str
    name: str
    auth_type: AuthType = "apikey"
    api_key: str | None = None
    priority: int = 1
    global_priority: int | None = None
    default_model: str | None = None
    is_active: bool = True
    group: str | None = None
    max_concurrent: int | None = None
    test_status: str = "unknown"
    last_error: str | None = None
    last_error_at: str | None = None
    last_error_type: str | None = None
    error_code: str | None = None
    rate_limited_until: str | None = None
    backoff_level: int = 0
    options: dict[str, Any] = {}
    quota_window_thresholds: dict[str, int] | None = None
    created_at: str = ""
    updated_at: str = ""


class ProviderNode(Struct, frozen=True, kw_only=True):
    """A custom upstream that speaks the OpenAI or the Anthropic dialect."""

    id: str
    type: Literal["openai-compatible", "anthropic-compatible"]
    name: str
    prefix: str
    base_url: str
    api_type: str | None = None
    chat_path: str = ""
    models_path: str = ""
    created_at: str = ""
    updated_at: str = ""
    headers: dict[str, str] = {}


class ModelStep(Struct, frozen=True, kw_only=True, tag_field="kind", tag="model", rename="camel"):
    """A combo step that names one model, optionally pinned to one account."""

    id: str
    model: str
    provider_id: str | None = None
    connection_id: str | None = None
    weight: float = 0
    label: str | None = None
    tags: tuple[str, ...] = ()


class ComboStep(
    Struct, frozen=True, kw_only=True, tag_field="kind", tag="combo-ref", rename="camel"
):
    """A combo step that stands for another combo."""

    id: str
    combo_name: str
    weight: float = 0
    label: str | None = None


Step: TypeAlias = ModelStep | ComboStep


class Combo(Struct, frozen=True, kw_only=True):
    """A named list of targets with a strategy, addressable as a model."""

    id: str
    name: str
    strategy: str = "priority"
    steps: tuple[Step, ...] = ()
    config: dict[str, Any] = {}
    allowed_providers: tuple[str, ...] = ()
    system_message: str | None = None
    tool_filter_regex: str | None = None
    context_cache_protection: bool = False
    context_length: int | None = None
    is_active: bool = True
    is_hidden: bool = False
    sort_order: int = 0
    created_at: str = ""
    updated_at: str = ""


class AccessSchedule(Struct, frozen=True, kw_only=True):
    """When a key may be used: `HH:MM` on the clock of `tz` (IANA), `until` not included.

    A window that ends before it begins goes on past midnight. `days` (0 is Sunday) are those on
    which a window begins.
    """

    enabled: bool
    from_: str = field(name="from")
    until: str
    days: tuple[int, ...]
    tz: str


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key of the gateway itself. Only its keyed hash is kept; `prefix` is for people.

    `rate_limits` None leaves it to `max_requests_per_day` and `max_requests_per_minute`, or to
    what keys without limits have. `max_sessions` 0 is any number. `ip_allowlist` are addresses
    and networks; empty lists allow everything.
    """

    id: str
    name: str
    key_hash: str
    prefix: str
    suffix: str
    machine_id: str
    scopes: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] = ()
    allowed_connections: tuple[str, ...] = ()
    no_log: bool = False
    is_active: bool = True
    is_banned: bool = False
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None
    auto_resolve: bool = False
    max_sessions: int = 0
    access_schedule: AccessSchedule | None = None
    rate_limits: tuple[RateRule, ...] | None = None
    max_requests_per_day: int | None = None
    max_requests_per_minute: int | None = None
    ip_allowlist: tuple[str, ...] = ()
    created_at: str = ""


class UsageRow(Struct, frozen=True, kw_only=True):
    """One upstream attempt. `id` is `<request id>:<attempt number>`; money is micro-USD.

    Tokens are in disjoint buckets. `cost_micro_usd` is None when the price is unknown, which is
    not the same as free.
    """

    id: str
    request_id: str
    attempt: int
    timestamp_ms: int
    provider: str
    model: str
    connection_id: str
    api_key_id: str | None
    combo: str | None
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_micro_usd: int | None = None
    status: int = 200
    success: bool = True
    error_code: str | None = None
    latency_ms: int = 0
    ttft_ms: int | None = None
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything that was read."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.input_audio_tokens
            + self.input_image_tokens
        )

    @property
    def completion_tokens(self) -> int:
        """Everything that was written."""
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.output_audio_tokens
            + self.output_image_tokens
        )


class TraceRow(Struct, frozen=True, kw_only=True):
    """The stored decision about one request. `data` is the whole trace as JSON text."""

    request_id: str
    timestamp_ms: int
    api_key_id: str | None
    source: str
    combo: str | None
    provider: str | None
    model: str | None
    success: bool
    status: int
    cost_micro_usd: int | None
    latency_ms: int
    data: str


class CallRow(Struct, frozen=True, kw_only=True):
    """One request as the call log shows it: who asked, who answered, what it took.

    `provider` to `account` are those of the attempt it ended with, `tokens_in` and `tokens_out`
    everything read and written. `status` is None where no upstream was asked, `cache_source` None
    where there was no answer to have a source.
    """

    id: str
    timestamp_ms: int
    door: str
    method: str | None = None
    path: str | None = None
    status: int | None = None
    success: bool
    outcome: str
    requested_model: str
    provider: str | None = None
    model: str | None = None
    connection_id: str | None = None
    account: str | None = None
    attempts: int = 0
    duration_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cache_read: int = 0
    tokens_cache_creation: int = 0
    tokens_reasoning: int = 0
    estimated: bool = False
    cost_micro_usd: int | None = None
    cache_source: str | None = None
    source_format: str | None = None
    target_format: str | None = None
    api_key_id: str | None = None
    api_key_name: str | None = None
    combo_name: str | None = None
    combo_step_id: str | None = None
    combo_execution_key: str | None = None
    error: str | None = None


class CallFilter(Struct, frozen=True, kw_only=True):
    """Which calls are asked for; None and empty are any.

    `model` is the one asked for or the one that answered, `account` and `api_key` an id or a
    name, `combo` a combo or `*` for all of them, `search` a part of any name or of the error.
    """

    success: bool | None = None
    status: int | None = None
    model: str | None = None
    provider: str | None = None
    account: str | None = None
    api_key: str | None = None
    combo: str | None = None
    search: str = ""


class SpentCharge(Struct, frozen=True, kw_only=True):
    """A cost on its way to a budget's window. `holder` is the process whose lease paid it."""

    holder: str
    kind: str
    id: str
    period: str
    start_ms: int
    micro_usd: int


class FinishedRequest(Struct, frozen=True, kw_only=True):
    """What the journal keeps of a request until it is in SQL.

    `call` is None in records that versions without a call log left behind.
    """

    trace: TraceRow
    usage: tuple[UsageRow, ...] = ()
    charges: tuple[SpentCharge, ...] = ()
    call: CallRow | None = None


class UsageSum(Struct, frozen=True, kw_only=True):
    """What one key had one account's model do. A request counts in the sum of its last attempt.

    `prompt_tokens` are all tokens read, cached or not, `completion_tokens` all tokens written;
    `unpriced` counts attempts that used tokens nobody states a price of.
    """

    provider: str
    model: str
    connection_id: str
    api_key_id: str | None
    requests: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cost_micro_usd: int
    unpriced: int
    last_used_ms: int


class UsageMinute(Struct, frozen=True, kw_only=True):
    """What was used in one minute, which begins at `start_ms`."""

    start_ms: int
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micro_usd: int = 0


class UsageTotals(Struct, frozen=True, kw_only=True):
    """Sums over usage rows. Money is micro-USD; latency is that of all attempts together."""

    requests: int = 0
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0
    latency_ms: int = 0


class ToolAudit(Struct, frozen=True, kw_only=True):
    """One MCP tool call, without its arguments. `created_at` is UTC `YYYY-MM-DD HH:MM:SS`."""

    tool_name: str
    input_hash: str
    output_summary: str
    duration_ms: int
    api_key_id: str | None
    success: bool
    error_code: str | None
    created_at: str


class ToolAuditEntry(ToolAudit, frozen=True, kw_only=True):
    """A tool call as it stands in the log."""

    id: int


class ToolAuditStats(Struct, frozen=True, kw_only=True):
    """Sums over a stretch of the tool log. The rate is 0-1; `top_tools` is at most ten pairs."""

    total_calls: int = 0
    success_rate: float = 0
    avg_duration_ms: float = 0
    top_tools: tuple[tuple[str, int], ...] = ()
    last_call_at: str | None = None
    last_call_tool: str | None = None


class TaskRow(Struct, frozen=True, kw_only=True):
    """One A2A task. `data` is the whole task in the 1.0 ProtoJSON form, as JSON text.

    `finished` says that `state` is terminal: storage never changes such a state again.
    """

    id: str
    owner: str
    context_id: str
    skill: str
    state: str
    finished: bool = False
    data: str
    created_at_ms: int
    updated_at_ms: int
    expires_at_ms: int


class TaskEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened to a task; `type` is from the table of 04 §4.6."""

    task_id: str
    type: str
    state: str
    timestamp_ms: int
    message: str | None = None


class ResponseRow(Struct, frozen=True, kw_only=True):
    """A stored response of the Responses API.

    `request` is the client's body and `response` the wire object, both JSON text. `owner` is the
    key id, empty for callers without one. While one works on a background response its lease runs
    to `lease_until_ms`; one that has run out may be taken over.
    """

    id: str
    owner: str
    status: str
    background: bool
    previous_id: str | None
    request: str
    response: str
    lease_until_ms: int
    created_at_ms: int
    expires_at_ms: int


class ModelMapping(Struct, frozen=True, kw_only=True):
    """A pattern (`*`, `?`) of model names that stands for a combo. Higher priorities first."""

    id: str
    pattern: str
    combo_id: str
    priority: int = 0
    enabled: bool = True
    description: str = ""
    created_at: str = ""
    updated_at: str = ""


class CustomModel(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model an operator added to a provider. `api_format` is what it is spoken to in."""

    provider: str
    id: str
    name: str = ""
    api_format: Literal["chat-completions", "responses"] = "chat-completions"


class BudgetRow(Struct, frozen=True, kw_only=True):
    """The limits of one scope, micro-USD; None is no limit."""

    scope_kind: str
    scope_id: str
    daily_micro_usd: int | None = None
    weekly_micro_usd: int | None = None
    monthly_micro_usd: int | None = None
    total_micro_usd: int | None = None
    warning_threshold: float = 0.8
    reset_interval: str = "daily"
    reset_time: str = "00:00"
    action: str = "deny"
    created_at_ms: int = 0
    updated_at_ms: int = 0


class WindowKey(Struct, frozen=True, order=True):
    """One window of one limit."""

    kind: str
    id: str
    period: str
    start_ms: int


class WindowStanding(Struct, frozen=True, kw_only=True):
    """A window after a lease was asked for, micro-USD: `granted` was added to `mine`."""

    spent: int
    granted: int
    mine: int
    others: int


class LeaseRow(Struct, frozen=True):
    """What one process has leased of a window, micro-USD."""

    holder: str
    micro_usd: int


class SyncState(Struct, frozen=True, kw_only=True):
    """How the sync of one price list stands. `stamp` changes with its prices; None: there are none.

    `next_ms` is when it is due again, where that is done by itself, and `error` why the last
    attempt failed.
    """

    stamp: str | None = None
    last_sync_ms: int | None = None
    model_count: int = 0
    provider_count: int = 0
    skipped: int = 0
    ignored: int = 0
    next_ms: int = 0
    error: str | None = None


class SyncedPrices(Struct, frozen=True, kw_only=True):
    """What price lists say: each by itself, and all together, the later ones over the earlier.

    `stamps` are those of the lists when they were read.
    """

    layers: Mapping[SourceId, Stated] = {}
    merged: Stated = {}
    stamps: Mapping[SourceId, str] = {}


class RateWindow(Struct, frozen=True):
    """One window of a key's rate rule: `window_s` seconds from `start_s`, epoch seconds."""

    key_id: str
    window_s: int
    start_s: int

    @property
    def end_s(self) -> int:
        """When the next one begins."""
        return self.start_s + self.window_s


class SessionRow(Struct, frozen=True):
    """A session of a key, or of callers without one. Times are epoch milliseconds."""

    owner: str
    id: str
    created_ms: int
    seen_ms: int
    requests: int = 0
    connection_id: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """What it is found by: ids of different owners have nothing to do with each other."""
        return self.owner, self.id


class Pin(Struct, frozen=True):
    """The model a conversation keeps in a combo. `seen_ms` is epoch milliseconds."""

    conversation: str
    combo: str
    provider: str
    model: str
    seen_ms: int


class Binding(Struct, frozen=True, kw_only=True):
    """A session and the account it used last at a provider. Epoch milliseconds."""

    session: str
    provider: str
    connection: str
    created_ms: int
    seen_ms: int


class CachedAnswer(Struct, frozen=True, kw_only=True):
    """A kept answer by its signature. `data` is the answer as JSON text."""

    signature: str
    owner: str
    model: str
    data: str
    tokens: int
    created_at_ms: int
    expires_at_ms: int
    hits: int = 0


class CacheEntry(Struct, frozen=True, kw_only=True):
    """A kept answer without its text."""

    signature: str
    model: str
    tokens: int
    created_at_ms: int
    expires_at_ms: int
    hits: int


class QuotaSnapshot(Struct, frozen=True, kw_only=True):
    """One window of an account's quota as its provider reported it. Times are epoch ms.

    `remaining_percentage` is None where the window has no end; `raw` is the report it came from,
    with this window alone in it, as JSON values.
    """

    id: str
    provider: str
    connection_id: str
    window_key: str
    remaining_percentage: float | None
    is_exhausted: bool
    next_reset_at_ms: int | None
    window_duration_ms: int | None
    raw: Any
    created_at_ms: int
