"""What the process is told from outside: environment variables and command line, checked once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from omniroute.errors import InvalidRequest
from omniroute.storage.env_file import NAME as ENV_FILE
from omniroute.storage.env_file import EnvFile

log = logging.getLogger(__name__)

DEFAULT_PORT = 20128
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off", ""})


class Settings(Struct, frozen=True, kw_only=True):
    """Everything the composition root reads from outside. Times are milliseconds where a name does
    not say otherwise, 0 is off."""

    data_dir: Path
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = DEFAULT_PORT
    base_url: str | None = None
    api_key: str | None = None
    require_api_key: bool | None = None
    initial_password: str | None = None
    auth_cookie_secure: bool = False
    allow_api_key_reveal: bool = False
    cli_salt: str = "omniroute-cli-auth-v1"
    disable_cli_token: bool = False
    default_rate_limit: str = ""
    no_log_keys: str = ""
    allow_private_provider_urls: bool | None = None
    max_body_bytes: Annotated[int, Meta(ge=1)] = 10 * 1024 * 1024
    cors_allow_all: bool = False
    cors_origins: str = ""
    trusted_local_cidrs: str = ""
    trusted_proxies: str = ""
    allowed_hosts: str = ""
    allowed_origins: str = ""
    mcp_enforce_scopes: bool = False
    mcp_scopes: str = ""
    mcp_key_id: str | None = None
    mcp_issuer_url: str | None = None
    mcp_compress_descriptions: bool = True
    mcp_description_compression: bool = True
    request_timeout_ms: Annotated[int, Meta(ge=0)] = 600_000
    connect_timeout_ms: Annotated[int, Meta(ge=0)] = 30_000
    stream_idle_timeout_ms: Annotated[int, Meta(ge=0)] = 600_000
    stream_readiness_timeout_ms: Annotated[int, Meta(ge=0)] = 80_000
    heartbeat_interval_ms: Annotated[int, Meta(ge=0)] = 15_000
    shutdown_timeout_ms: Annotated[int, Meta(ge=0)] = 30_000
    health_check_stagger_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 3_000
    oauth_timeout_ms: Annotated[int, Meta(ge=100, le=120_000)] = 15_000
    disable_token_keeper: bool = False
    semantic_cache_max_size: Annotated[int, Meta(ge=1)] = 500
    semantic_cache_max_bytes: Annotated[int, Meta(ge=1)] = 4 * 1024 * 1024
    semantic_cache_ttl_ms: Annotated[int, Meta(ge=1)] = 3_600_000
    fitness_file: Path | None = None
    breaker_oauth_threshold: Annotated[int, Meta(ge=1, le=1_000)] = 8
    breaker_oauth_reset_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 60_000
    breaker_api_key_threshold: Annotated[int, Meta(ge=1, le=1_000)] = 12
    breaker_api_key_reset_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 30_000
    breaker_local_threshold: Annotated[int, Meta(ge=1, le=1_000)] = 2
    breaker_local_reset_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 15_000
    protect_api_keys: bool | None = None
    queue_max_wait_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 120_000
    pricing_sync_enabled: bool = False
    pricing_sync_sources: str = "litellm"
    pricing_sync_interval_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 86_400
    models_dev_sync_interval_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 86_400
    pricing_sync_litellm_url: str | None = None
    pricing_sync_models_dev_url: str | None = None
    skills_timeout_ms: Annotated[int, Meta(ge=100, le=540_000)] = 30_000
    skills_max_file_bytes: Annotated[int, Meta(ge=1, le=52_428_800)] = 1_048_576
    skills_max_response_bytes: Annotated[int, Meta(ge=1, le=52_428_800)] = 256_000
    cloud_url: str = ""
    cloud_sync_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = 12_000
    backup_max_files: Annotated[int, Meta(ge=1, le=10_000)] = 20
    backup_retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    disable_auto_backup: bool = False
    app_log_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    call_log_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    call_log_rows: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 100_000
    https_proxy: str = ""
    http_proxy: str = ""
    all_proxy: str = ""
    no_proxy: str = ""
    socks5_proxies: bool | None = None
    proxy_dial_timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = 2_000
    proxy_rest_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 30_000
    proxy_log_rows: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 100_000
    proxy_test_url: str = "https://api64.ipify.org/?format=json"
    log_level: str = "warning"
    log_format: str = "text"
    log_to_file: bool = True
    log_file: Path | None = None
    log_max_bytes: Annotated[int, Meta(ge=1_000)] = 50 * 1024 * 1024
    log_max_files: Annotated[int, Meta(ge=1, le=1_000)] = 20
    model_spellings: bool = True
    config_file: Path | None = None
    search_cache_ttl_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 300_000
    discover: bool = True
    self_restart: bool = False
    config_hot_reload_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 500

    @property
    def is_loopback_bind(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def default_requests_per_day(self) -> int:
        """What keys without limits of their own may ask a day; 0 for any number, which also holds
        for what is no number (02 §8.2)."""
        text = self.default_rate_limit
        if text.isascii() and text.isdecimal():
            return int(text)
        if text:
            log.warning("DEFAULT_RATE_LIMIT_PER_DAY is not a whole number and limits nothing")
        return 0

    @property
    def local_url(self) -> str:
        """The address under which this machine reaches the gateway."""
        host = "127.0.0.1" if self.host in _ANY_ADDRESS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def public_url(self) -> str:
        """The address clients are told, without a trailing slash."""
        if self.base_url:
            return self.base_url.rstrip("/")
        named = self.is_loopback_bind or self.host in _ANY_ADDRESS
        host = "localhost" if named else self.host
        return f"http://{host}:{self.port}"


class Variable(Struct, frozen=True):
    """How one setting is spelled outside: variable names, newest first, and what it means."""

    names: tuple[str, ...]
    told: str


VARIABLES: Mapping[str, Variable] = {
    "data_dir": Variable(("DATA_DIR",), "Where everything is kept. Default `~/.omniroute`."),
    "database_url": Variable(
        ("DATABASE_URL",), "`sqlite:///…` or `postgresql://…`. Default: a file in the data dir."
    ),
    "host": Variable(("OMNIROUTE_HOST", "API_HOST", "HOST"), "Address to listen on."),
    "port": Variable(("OMNIROUTE_PORT", "PORT"), "Port to listen on."),
    "base_url": Variable(
        ("OMNIROUTE_BASE_URL", "BASE_URL", "NEXT_PUBLIC_BASE_URL"),
        "The address clients reach the gateway by, as shown in cards and snippets.",
    ),
    "api_key": Variable(
        ("OMNIROUTE_API_KEY", "ROUTER_API_KEY"), "A key that is always valid and may do anything."
    ),
    "require_api_key": Variable(
        ("REQUIRE_API_KEY",),
        "Refuse anonymous callers. Default: false on a loopback bind, true on any other.",
    ),
    "initial_password": Variable(
        ("INITIAL_PASSWORD",),
        "The password of the management plane, as long as nobody has set one.",
    ),
    "auth_cookie_secure": Variable(
        ("AUTH_COOKIE_SECURE",), "Send session cookies over HTTPS only, whatever a proxy says."
    ),
    "allow_api_key_reveal": Variable(
        ("ALLOW_API_KEY_REVEAL",),
        "Keep the texts of new gateway keys, encrypted, and let operators see them again.",
    ),
    "cli_salt": Variable(
        ("OMNIROUTE_CLI_SALT",), "What the command line's token for this machine is made with."
    ),
    "disable_cli_token": Variable(
        ("OMNIROUTE_DISABLE_CLI_TOKEN",), "Have the command line sign in like everybody else."
    ),
    "default_rate_limit": Variable(
        ("DEFAULT_RATE_LIMIT_PER_DAY",),
        "Requests a day of keys without limits of their own; a week has 5 and a month 20 times "
        "that. 0 or unset: no limit.",
    ),
    "no_log_keys": Variable(
        ("NO_LOG_API_KEY_IDS",), "Ids of keys whose requests stay out of the call log, by comma."
    ),
    "allow_private_provider_urls": Variable(
        ("OMNIROUTE_ALLOW_PRIVATE_PROVIDER_URLS",),
        "Let custom upstreams sit on loopback and private addresses. Default: true on a loopback "
        "bind, false on any other. Cloud metadata addresses are refused either way.",
    ),
    "max_body_bytes": Variable(("MAX_BODY_SIZE_BYTES",), "Largest request body, in bytes."),
    "cors_allow_all": Variable(("CORS_ALLOW_ALL",), "Let every browser origin read answers."),
    "cors_origins": Variable(
        ("CORS_ALLOWED_ORIGINS", "CORS_ORIGIN"), "Browser origins that may read answers, by comma."
    ),
    "trusted_local_cidrs": Variable(
        ("OMNIROUTE_TRUSTED_LOCAL_CIDRS",), "Networks whose peers count as this machine, by comma."
    ),
    "trusted_proxies": Variable(
        ("OMNIROUTE_TRUSTED_PROXIES",),
        "Networks of proxies that are believed when they say for whom they ask, by comma.",
    ),
    "allowed_hosts": Variable(
        ("OMNIROUTE_MCP_ALLOWED_HOSTS",),
        "Host names MCP clients may use beside loopback, by comma.",
    ),
    "allowed_origins": Variable(
        ("OMNIROUTE_MCP_ALLOWED_ORIGINS",), "Browser origins MCP accepts beside loopback, by comma."
    ),
    "mcp_enforce_scopes": Variable(
        ("OMNIROUTE_MCP_ENFORCE_SCOPES",), "Check the scopes of every MCP tool call."
    ),
    "mcp_scopes": Variable(
        ("OMNIROUTE_MCP_SCOPES",), "Scopes of MCP callers that bring none, by comma."
    ),
    "mcp_key_id": Variable(("OMNIROUTE_API_KEY_ID",), "Who a stdio MCP process is in the audit."),
    "mcp_issuer_url": Variable(
        ("OMNIROUTE_MCP_ISSUER_URL",),
        "The authorization server MCP clients are sent to (RFC 9728); none without it.",
    ),
    "mcp_compress_descriptions": Variable(
        ("OMNIROUTE_MCP_COMPRESS_DESCRIPTIONS",),
        "`false` lists descriptions over MCP in full, whatever the setting `compression` says.",
    ),
    "mcp_description_compression": Variable(
        ("OMNIROUTE_MCP_DESCRIPTION_COMPRESSION",), "The same; either switches it off."
    ),
    "request_timeout_ms": Variable(
        ("FETCH_TIMEOUT_MS", "REQUEST_TIMEOUT_MS"), "Longest wait for an upstream's headers."
    ),
    "connect_timeout_ms": Variable(
        ("FETCH_CONNECT_TIMEOUT_MS",), "Longest wait for an upstream's connection."
    ),
    "stream_idle_timeout_ms": Variable(
        ("STREAM_IDLE_TIMEOUT_MS",), "Longest silence in an upstream's body."
    ),
    "stream_readiness_timeout_ms": Variable(
        ("STREAM_READINESS_TIMEOUT_MS",), "Longest wait for a stream's first useful event."
    ),
    "heartbeat_interval_ms": Variable(
        ("SSE_HEARTBEAT_INTERVAL_MS",), "Silence after which a stream gets a keep-alive frame."
    ),
    "shutdown_timeout_ms": Variable(
        ("SHUTDOWN_TIMEOUT_MS",), "How long running requests may take when the gateway stops."
    ),
    "health_check_stagger_ms": Variable(
        ("HEALTHCHECK_STAGGER_MS",),
        "Time between the tests of two accounts that have a `healthCheckInterval`.",
    ),
    "oauth_timeout_ms": Variable(
        ("OMNIROUTE_OAUTH_TIMEOUT_MS",),
        "How long a provider's sign-in server may take; that and 2 s more is how long a process "
        "that dies while it renews a token holds others up.",
    ),
    "disable_token_keeper": Variable(
        ("OMNIROUTE_DISABLE_TOKEN_HEALTHCHECK",),
        "Renew tokens of accounts only when a request needs them.",
    ),
    "semantic_cache_max_size": Variable(
        ("SEMANTIC_CACHE_MAX_SIZE",), "How many answers the response cache has in memory."
    ),
    "semantic_cache_max_bytes": Variable(
        ("SEMANTIC_CACHE_MAX_BYTES",), "How much memory the response cache takes."
    ),
    "semantic_cache_ttl_ms": Variable(("SEMANTIC_CACHE_TTL_MS",), "How long an answer is kept."),
    "fitness_file": Variable(
        ("OMNIROUTE_FITNESS_FILE",),
        "Your own table of how well models do at kinds of work, instead of the one that ships.",
    ),
    "breaker_oauth_threshold": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_OAUTH_THRESHOLD",),
        "Failures in a row that open a breaker: accounts that sign in.",
    ),
    "breaker_oauth_reset_ms": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_OAUTH_RESET_MS",),
        "How long an open breaker waits: accounts that sign in.",
    ),
    "breaker_api_key_threshold": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_API_KEY_THRESHOLD",),
        "Failures in a row that open a breaker: accounts with API keys.",
    ),
    "breaker_api_key_reset_ms": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_API_KEY_RESET_MS",),
        "How long an open breaker waits: accounts with API keys.",
    ),
    "breaker_local_threshold": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_LOCAL_THRESHOLD",),
        "Failures in a row that open a breaker: upstreams on this machine or network.",
    ),
    "breaker_local_reset_ms": Variable(
        ("OMNIROUTE_CIRCUIT_BREAKER_LOCAL_RESET_MS",),
        "How long an open breaker waits: upstreams on this machine or network.",
    ),
    "protect_api_keys": Variable(
        ("RATE_LIMIT_AUTO_ENABLE",),
        "Whether accounts with API keys have a request queue. Overrides the setting.",
    ),
    "queue_max_wait_ms": Variable(
        ("RATE_LIMIT_MAX_WAIT_MS",), "Longest wait in the request queue of an account."
    ),
    "pricing_sync_enabled": Variable(
        ("PRICING_SYNC_ENABLED",), "Ask public price lists for prices, again and again."
    ),
    "pricing_sync_sources": Variable(
        ("PRICING_SYNC_SOURCES",),
        "Which lists, by comma: `litellm`, `modelsDev`. Where both know a price, models.dev holds.",
    ),
    "pricing_sync_interval_s": Variable(
        ("PRICING_SYNC_INTERVAL",), "Seconds between two looks at LiteLLM's list."
    ),
    "models_dev_sync_interval_s": Variable(
        ("MODELS_DEV_SYNC_INTERVAL",), "Seconds between two looks at models.dev."
    ),
    "pricing_sync_litellm_url": Variable(
        ("PRICING_SYNC_LITELLM_URL",), "Where LiteLLM's list is, instead of its own place."
    ),
    "pricing_sync_models_dev_url": Variable(
        ("PRICING_SYNC_MODELS_DEV_URL",), "Where the list of models.dev is, instead of its place."
    ),
    "cloud_url": Variable(
        ("CLOUD_URL", "NEXT_PUBLIC_CLOUD_URL"),
        "Where the configuration is pushed to, unless the setting `cloudUrl` says; https only. "
        "Nothing is pushed before somebody enables that.",
    ),
    "cloud_sync_timeout_ms": Variable(
        ("CLOUD_SYNC_TIMEOUT_MS",), "How long a push of the configuration may take."
    ),
    "skills_timeout_ms": Variable(
        ("SKILLS_EXECUTION_TIMEOUT_MS",), "How long an execution of a tool skill may take."
    ),
    "skills_max_file_bytes": Variable(
        ("SKILLS_MAX_FILE_BYTES",), "Largest file tool skills read and write."
    ),
    "skills_max_response_bytes": Variable(
        ("SKILLS_MAX_HTTP_RESPONSE_BYTES",), "How much of an answer `http_request` reads."
    ),
    "backup_max_files": Variable(
        ("DB_BACKUP_MAX_FILES",), "How many backups are kept; the oldest go."
    ),
    "backup_retention_days": Variable(
        ("DB_BACKUP_RETENTION_DAYS",), "For how many days backups are kept. 0: of any age."
    ),
    "disable_auto_backup": Variable(
        ("DISABLE_SQLITE_AUTO_BACKUP",),
        "Make no backup, one an hour at most, before the configuration changes.",
    ),
    "https_proxy": Variable(
        ("HTTPS_PROXY", "https_proxy"),
        "Proxy for `https` upstreams without a proxy of their own, as a URL.",
    ),
    "http_proxy": Variable(
        ("HTTP_PROXY", "http_proxy"), "The same for `http` upstreams on other machines."
    ),
    "all_proxy": Variable(
        ("ALL_PROXY", "all_proxy"), "The same for both, where the closer variable is not set."
    ),
    "no_proxy": Variable(
        ("NO_PROXY", "no_proxy"),
        "Hosts, suffixes and networks that the three variables are not for, by comma; `*` is all.",
    ),
    "socks5_proxies": Variable(
        ("ENABLE_SOCKS5_PROXY",),
        "`false` switches SOCKS5 proxies off, whatever the setting `enableSocks5Proxy` says.",
    ),
    "proxy_dial_timeout_ms": Variable(
        ("PROXY_FAST_FAIL_TIMEOUT_MS",), "How long a proxy has to accept a connection."
    ),
    "proxy_rest_ms": Variable(
        ("PROXY_HEALTH_CACHE_TTL_MS",),
        "Longest time a proxy that could not be reached is left alone; the first time is 2 s.",
    ),
    "proxy_log_rows": Variable(
        ("PROXY_LOGS_TABLE_MAX_ROWS",),
        "How many requests through proxies are kept, unless the setting says. 0: any number.",
    ),
    "proxy_test_url": Variable(
        ("PROXY_TEST_URL",), "The page that tells the test of a proxy which address it is seen as."
    ),
    "app_log_days": Variable(
        ("APP_LOG_RETENTION_DAYS",),
        "For how many days the audit logs are kept, unless the setting says. 0: of any age. "
        "Default: 90, and 30 for calls of MCP tools.",
    ),
    "call_log_days": Variable(
        ("CALL_LOG_RETENTION_DAYS",),
        "For how many days calls, decisions, uses of proxies and usage are kept, unless the "
        "setting says. 0: of any age. Default: 90, 30 for proxies and 365 for usage. Sums of usage "
        "stay in any case.",
    ),
    "call_log_rows": Variable(
        ("CALL_LOGS_TABLE_MAX_ROWS",),
        "How many calls and decisions are kept, unless the setting says. 0: any number.",
    ),
    "log_level": Variable(("APP_LOG_LEVEL",), "debug, info, warning or error."),
    "log_format": Variable(("APP_LOG_FORMAT",), "text or json."),
    "log_to_file": Variable(
        ("APP_LOG_TO_FILE",), "Write the log to a file as well, as JSON lines."
    ),
    "log_file": Variable(
        ("APP_LOG_FILE_PATH",), "Which file. Default: `logs/app.log` in the data dir."
    ),
    "log_max_bytes": Variable(
        ("APP_LOG_MAX_FILE_SIZE",), "From this size on, in bytes, a new file is begun."
    ),
    "log_max_files": Variable(
        ("APP_LOG_MAX_FILES",), "How many full files are kept beside the current one."
    ),
    "model_spellings": Variable(
        ("MODEL_ALIAS_COMPAT_ENABLED",),
        "Understand other vendors' spellings of model names, such as `gpt-oss:120b`.",
    ),
    "search_cache_ttl_ms": Variable(
        ("SEARCH_CACHE_TTL_MS",),
        "How long results of web searches are kept; 0 keeps none and shares none under way.",
    ),
    "config_hot_reload_ms": Variable(
        ("OMNIROUTE_CONFIG_HOT_RELOAD_MS",),
        "How often to look for changes other processes made to the configuration.",
    ),
    "self_restart": Variable(
        ("OMNIROUTE_SELF_RESTART",),
        "Start again by itself after `POST /api/restart`, where nothing else does.",
    ),
    "config_file": Variable(
        ("OMNIROUTE_CONFIG",),
        "A configuration file, applied at start and on SIGHUP. See the guide to it.",
    ),
    "discover": Variable(
        ("OMNIROUTE_DISCOVER",), "Look for provider keys in the environment and local servers."
    ),
}
"""Every setting and its variables. Whatever is not here is not read."""


def load_settings(environ: Mapping[str, str], **given: object) -> Settings:
    """Settings from the environment and the env file of the data directory; `given` values (the
    command line) win over both.

    Raises:
        InvalidRequest: a variable has a value that cannot be used; names it.
    """
    environ = with_env_file(environ, _data_dir(environ, given.get("data_dir")))
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    values: dict[str, object] = {}
    for name, variable in VARIABLES.items():
        found = next((one for one in variable.names if environ.get(one)), None)
        if found is not None:
            values[name] = _parsed(found, environ[found], fields[name])
    values.update({name: value for name, value in given.items() if value is not None})
    values["data_dir"] = _data_dir(environ, values.get("data_dir"))
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"A setting cannot be used: {error}") from error


def with_env_file(environ: Mapping[str, str], data_dir: Path) -> Mapping[str, str]:
    """The variables of the process over those of the env file in the data directory, if any.

    Raises:
        InvalidRequest: the file cannot be used.
    """
    return EnvFile(data_dir, environ).merged() if (data_dir / ENV_FILE).exists() else environ


def _data_dir(environ: Mapping[str, str], given: object) -> Path:
    told = given or environ.get("DATA_DIR")
    return Path(str(told)).expanduser() if told else Path.home() / ".omniroute"


def _parsed(variable: str, text: str, kind: object) -> object:
    if kind in (bool, bool | None):
        lowered = text.strip().lower()
        if lowered in _TRUE | _FALSE:
            return lowered in _TRUE
        raise InvalidRequest(f"{variable} must be true or false, not '{text}'.", param=variable)
    if kind in (Path, Path | None):
        return Path(text.strip()).expanduser()
    if "int" in str(kind):
        try:
            return _sized(text) if text[-1:].upper() in _UNITS else int(text)
        except ValueError:
            raise InvalidRequest(
                f"{variable} must be a whole number, not '{text}'.", param=variable
            ) from None
    return text.strip()


def _sized(text: str) -> int:
    """A size such as `50M`, in bytes."""
    return int(text[:-1]) * _UNITS[text[-1].upper()]


def listed(text: str) -> tuple[str, ...]:
    """The entries of a comma list, trimmed, without blanks."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
