"""What requests leave behind: usage, decisions, lines of the call log, and sums over them."""

from msgspec import Struct

from omniroute.storage.records.runs import RunStep


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


class ComboCalls(Struct, frozen=True, kw_only=True):
    """What came of a combo's calls. Times are epoch ms, `duration_ms` is of all together."""

    requests: int
    successes: int
    duration_ms: int
    last_ms: int


SEARCHES = "search"
"""What calls that searched the web have for the format they came in."""


class SearchSum(Struct, frozen=True, kw_only=True):
    """What came of the searches a provider answered, or failed; None is no provider. Money is
    micro-USD, `duration_ms` of all together."""

    provider: str | None
    searches: int
    today: int
    cached: int
    errors: int
    cost_micro_usd: int
    duration_ms: int


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

    `call` is None in records that versions without a call log left behind, `step` where the request
    belongs to no run.
    """

    trace: TraceRow
    usage: tuple[UsageRow, ...] = ()
    charges: tuple[SpentCharge, ...] = ()
    call: CallRow | None = None
    step: RunStep | None = None


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


class UsageSpan(Struct, frozen=True, kw_only=True):
    """What was used in a minute, or a day, which begins at `start_ms`."""

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


class PromptCacheSum(Struct, frozen=True, kw_only=True):
    """What a provider's own cache did for one model. `cached_attempts` read from it or wrote to
    it, `prompt_tokens` are all tokens read, `cached_tokens` those of them that came from it."""

    provider: str
    model: str
    attempts: int
    cached_attempts: int
    prompt_tokens: int
    cached_tokens: int
    written_tokens: int
