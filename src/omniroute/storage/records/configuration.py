"""What operators configure: accounts, upstreams, combos, keys and names of models."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from omniroute.caller import RateRule
from omniroute.catalog.overrides import Stated
from omniroute.catalog.price_documents import SourceId

AuthType: TypeAlias = Literal["apikey", "oauth", "none"]


class Connection(Struct, frozen=True, kw_only=True):
    """One account: a credential for one provider or provider node.

    `api_key` and the tokens are clear text in memory only. Times are ISO-8601 UTC with
    milliseconds. `options` is the spec's `providerSpecificData`. `quota_window_thresholds` are the
    percentages left, by window of its quota, at which it is not used. `rate_limit_protection`
    switches its request queue; None leaves that to the settings. `health_check_interval` is
    minutes between checks in the background; None and 0 are never. `expires_at` is when the
    access token ends; `expires_in` the seconds it was granted for.
    """

    id: str
    provider: str
    name: str
    auth_type: AuthType = "apikey"
    display_name: str | None = None
    email: str | None = None
    api_key: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str | None = None
    scope: str | None = None
    project_id: str | None = None
    expires_at: str | None = None
    token_expires_at: str | None = None
    expires_in: int | None = None
    priority: int = 1
    global_priority: int | None = None
    default_model: str | None = None
    is_active: bool = True
    group: str | None = None
    max_concurrent: int | None = None
    rate_limit_protection: bool | None = None
    health_check_interval: int | None = None
    last_health_check_at: str | None = None
    test_status: str = "unknown"
    last_tested: str | None = None
    last_error: str | None = None
    last_error_at: str | None = None
    last_error_type: str | None = None
    last_error_source: str | None = None
    error_code: str | None = None
    rate_limited_until: str | None = None
    backoff_level: int = 0
    options: dict[str, Any] = {}
    quota_window_thresholds: dict[str, int] | None = None
    created_at: str = ""
    updated_at: str = ""

    @property
    def credential(self) -> str | None:
        """What shows its provider whose it is: its key, or its login's access token."""
        return self.access_token if self.auth_type == "oauth" else self.api_key


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
    and networks; empty lists allow everything. After a rotation `previous_key_hash` counts as
    well, until `previous_until_ms` (epoch ms).
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
    disabled_guardrails: tuple[str, ...] = ()
    previous_key_hash: str | None = None
    previous_until_ms: int | None = None
    created_at: str = ""


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


class Agent(Struct, frozen=True, kw_only=True):
    """An agent made by configuration: a model or combo with a system prompt and tool skills.

    `tools` are names of tool skills; those in `approval` run only after somebody said yes. It takes
    at most `max_steps` model calls and `time_limit_s` seconds, and is asked under its `id`.
    """

    id: str
    title: str
    description: str
    model: str = "auto"
    system_prompt: str = ""
    tools: tuple[str, ...] = ()
    approval: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    max_steps: int = 8
    time_limit_s: int = 120
    enabled: bool = True
    created_at: str = ""
    updated_at: str = ""


ApiFormat: TypeAlias = Literal[
    "chat-completions",
    "responses",
    "embeddings",
    "rerank",
    "audio-transcriptions",
    "audio-speech",
    "images-generations",
]
Capability: TypeAlias = Literal[
    "chat",
    "embeddings",
    "rerank",
    "images",
    "audio",
    "audio-transcriptions",
    "audio-speech",
    "images-generations",
]
Protocol: TypeAlias = Literal["openai", "openai-responses", "claude"]


class CustomModel(Struct, frozen=True, kw_only=True, rename="camel"):
    """A model an operator added to a provider. `api_format` is what it is spoken to in."""

    provider: str
    id: str
    name: str = ""
    api_format: ApiFormat = "chat-completions"
    supported_endpoints: tuple[Capability, ...] = ("chat",)


class Compat(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is done otherwise for one model. None leaves it to the provider's row.

    `normalize_tool_call_id` makes ids of tool calls nine letters and digits,
    `preserve_openai_developer_role` has system turns sent as the developer's, and
    `upstream_headers` go with every request.
    """

    normalize_tool_call_id: bool | None = None
    preserve_openai_developer_role: bool | None = field(
        default=None, name="preserveOpenAIDeveloperRole"
    )
    upstream_headers: dict[str, str] | None = None


class ModelCompat(Compat, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The same for a model of a provider, and for each protocol its clients may speak.

    A hidden model is not listed; it can be asked for. `aliases` are those it had when it was
    hidden.
    """

    provider: str
    id: str
    is_hidden: bool = False
    compat_by_protocol: dict[Protocol, Compat] = {}
    aliases: tuple[str, ...] = ()

    def towards(self, protocol: Protocol | None) -> Compat:
        """What holds for requests of clients that speak a protocol: their own first."""
        own = self.compat_by_protocol.get(protocol) if protocol is not None else None
        if own is None:
            return self
        normalize, preserve = own.normalize_tool_call_id, own.preserve_openai_developer_role
        return Compat(
            normalize_tool_call_id=self.normalize_tool_call_id if normalize is None else normalize,
            preserve_openai_developer_role=(
                self.preserve_openai_developer_role if preserve is None else preserve
            ),
            upstream_headers={**(self.upstream_headers or {}), **(own.upstream_headers or {})},
        )

    @property
    def says_nothing(self) -> bool:
        """Whether the model is treated as any other."""
        return self == ModelCompat(provider=self.provider, id=self.id)


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
