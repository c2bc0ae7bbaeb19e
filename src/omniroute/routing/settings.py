"""The settings an operator may change while the gateway runs: one row each. 02 §10.1."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from omniroute.routing.compression import Compression
from omniroute.routing.shaping import SHAPES

Text2000: TypeAlias = Annotated[str, Meta(max_length=2_000)]
Text500: TypeAlias = Annotated[str, Meta(max_length=500)]
Keywords: TypeAlias = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=200)
]
AccountStrategy: TypeAlias = Literal[
    "priority",
    "weighted",
    "fill-first",
    "round-robin",
    "p2c",
    "random",
    "least-used",
    "cost-optimized",
    "strict-random",
]


class WildcardAlias(Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern of model names and what it stands for."""

    pattern: Annotated[str, Meta(min_length=1, max_length=300)]
    target: Annotated[str, Meta(min_length=1, max_length=300)]


class PayloadPolicy(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which bodies are kept: none, those of calls that did not end well, or all; each cut at a
    size. Requests of keys with `noLog` are never kept."""

    mode: Literal["off", "errors", "all"] = "off"
    max_size_kb: Annotated[int, Meta(ge=1, le=10_240)] = 512


class SettingRow(Struct, frozen=True):
    """A setting: what it is unless somebody says otherwise, what it may be, and what it does."""

    default: Any
    kind: Any
    told: str


def _switch(told: str, *, on: bool = False) -> SettingRow:
    return SettingRow(on, bool, told)


def _number(default: int, low: int, high: int, told: str) -> SettingRow:
    return SettingRow(default, Annotated[int, Meta(ge=low, le=high)], told)


def _text(longest: int, told: str) -> SettingRow:
    return SettingRow("", Annotated[str, Meta(max_length=longest)], told)


_DASHBOARD = "Kept for dashboards."

SETTING_ROWS: Mapping[str, SettingRow] = {
    # Who may do what
    "requireLogin": _switch("Whether managing needs a credential.", on=True),
    "setupComplete": _switch("Whether somebody has been through the first steps."),
    "bruteForceProtection": _switch("Lock out who guesses passwords.", on=True),
    "corsOrigins": _text(
        500, "Browser origins that may read answers, by comma, beside the environment's."
    ),
    "maxBodySizeMb": _number(
        0, 0, 500, "Largest request body, in MiB; 0 leaves it to MAX_BODY_SIZE_BYTES."
    ),
    # Doors
    "mcpEnabled": _switch("Whether the MCP door is open.", on=True),
    "mcpTransport": SettingRow(
        "all", Literal["all", "stdio", "sse", "streamable-http"], "Which MCP transports answer."
    ),
    "mcpConfirmDestructive": _switch(
        "Whether MCP tools ask whoever sits at the client before they destroy something."
    ),
    "mcpTaskAfterMs": _number(
        1_000,
        0,
        600_000,
        "How long MCP tools may take, in milliseconds, until a client that knows tasks gets one.",
    ),
    "a2aEnabled": _switch("Whether the A2A door is open.", on=True),
    "a2aTaskTtlMinutes": _number(5, 1, 10_080, "How long A2A tasks are kept, in minutes."),
    "a2aAllowPrivateWebhooks": _switch(
        "Whether changes of A2A tasks are told to private and loopback addresses, too."
    ),
    # Names of models
    "autoRoutingEnabled": _switch("Whether `auto` is a model.", on=True),
    "autoRoutingDefaultVariant": SettingRow(
        "",
        Literal["", "lkgp", "coding", "fast", "cheap", "offline", "smart"],
        "What `auto` means without a variant.",
    ),
    "stripModelPrefix": _switch("Understand names whose prefix nobody knows without it."),
    "wildcardAliases": SettingRow(
        [], list[WildcardAlias], "Patterns of model names and what they stand for."
    ),
    "blockedProviders": SettingRow(
        [],
        list[Annotated[str, Meta(min_length=1, max_length=100)]],
        "Providers, by id or prefix, that are neither asked nor listed.",
    ),
    # Which account and target
    "fallbackStrategy": SettingRow(
        "fill-first", AccountStrategy, "The order in which accounts of a provider are tried."
    ),
    "stickyRoundRobinLimit": _number(
        3, 0, 1_000, "Requests in a row one account serves under round-robin."
    ),
    "sessionAffinity": SettingRow(
        "explicit", Literal["off", "explicit", "always"], "Which conversations keep their account."
    ),
    "comboDefaults": SettingRow({}, dict[str, Any], "What combos do unless they say otherwise."),
    "providerOverrides": SettingRow(
        {}, dict[str, dict[str, Any]], "The same by provider, before what a combo says."
    ),
    "quotaPreflight": SettingRow(
        {
            "defaultThresholdPercent": 2,
            "warnThresholdPercent": 20,
            "providerWindowDefaults": {},
        },
        dict[str, Any],
        "Where accounts are cut off by what is left of their quotas.",
    ),
    "globalFallbackModel": _text(300, "Who answers when every target of a request has failed."),
    "emergencyFallback": SettingRow(
        {}, SHAPES["emergencyFallback"], "Who answers when the money at a provider has run out."
    ),
    "modelFamilies": SettingRow(
        {}, SHAPES["modelFamilies"], "Models that stand in for one another."
    ),
    "intentDetectionEnabled": _switch("Let `auto` look at what kind of work it is.", on=True),
    "intentSimpleMaxWords": _number(60, 1, 500, "From this length on nothing is simple."),
    "intentExtraCodeKeywords": SettingRow([], Keywords, "Further words that mean programming."),
    "intentExtraReasoningKeywords": SettingRow([], Keywords, "Further words that mean thinking."),
    "intentExtraSimpleKeywords": SettingRow([], Keywords, "Further words that mean small talk."),
    "taskRouting": SettingRow({}, SHAPES["taskRouting"], "Models by kind of task."),
    "backgroundDegradation": SettingRow(
        {}, SHAPES["backgroundDegradation"], "Cheaper models for what nobody waits for."
    ),
    # What is changed about a request
    "systemPrompt": SettingRow({}, SHAPES["systemPrompt"], "A text before every system text."),
    "thinkingBudget": SettingRow(
        {}, SHAPES["thinkingBudget"], "How much thinking requests ask for."
    ),
    "compression": SettingRow(
        {}, Compression, "What is said in fewer characters; see the guide to compression."
    ),
    # Answers that are kept
    "semanticCacheEnabled": _switch("Whether answers are kept and given again.", on=True),
    "idempotencyWindowMs": _number(
        5_000, 1, 3_600_000, "How long an idempotency key gets the same answer."
    ),
    # What agents may know and do here
    "memoryEnabled": _switch("Whether agents can store and find memories.", on=True),
    "memoryMaxTokens": _number(
        2_000, 0, 16_000, "Tokens of memories a request is given, where it gets any; 0 is none."
    ),
    "memoryRetentionDays": _number(
        30, 1, 365, "Days after which a memory that was not stored again is not found any more."
    ),
    "memoryStrategy": SettingRow(
        "hybrid",
        Literal["recent", "semantic", "hybrid"],
        "Where memories are looked for: among the newest, in the full-text index, or in both.",
    ),
    "skillsEnabled": _switch("Whether tool skills can be executed."),
    # What is written down
    "callLogPayloads": SettingRow(
        {}, PayloadPolicy, "Keep what requests and answers said: `off`, `errors` or `all`."
    ),
    # The way out
    "enableSocks5Proxy": _switch("Whether SOCKS5 proxies may be used.", on=True),
    "cloudEnabled": _switch("Whether the configuration is pushed to a cloud of yours."),
    "cloudUrl": _text(500, "Where it is pushed to; https only."),
    "baseUrl": _text(500, "The address clients are told, instead of the environment's."),
    # Nothing of the gateway depends on these
    "instanceName": _text(100, _DASHBOARD),
    "theme": _text(50, _DASHBOARD),
    "language": _text(10, _DASHBOARD),
    "customLogoUrl": _text(2_000, _DASHBOARD),
    "customFaviconUrl": _text(2_000, _DASHBOARD),
    "customLogoBase64": _text(100_000, _DASHBOARD),
    "customFaviconBase64": _text(50_000, _DASHBOARD),
    "hideHealthCheckLogs": _switch(_DASHBOARD),
    "debugMode": _switch(_DASHBOARD, on=True),
    "hiddenSidebarItems": SettingRow([], list[Annotated[str, Meta(max_length=100)]], _DASHBOARD),
    "comboConfigMode": SettingRow("guided", Literal["guided", "expert"], _DASHBOARD),
}
"""Every setting. A name that is not here is refused."""

SETTINGS: Mapping[str, Any] = {name: row.default for name, row in SETTING_ROWS.items()}
"""Every setting with its default; stored values replace them one by one."""
