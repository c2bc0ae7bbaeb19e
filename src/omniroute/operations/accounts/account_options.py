"""What operators write into the options of an account, `providerSpecificData`. Source: 02 §4.2."""

import re
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from omniroute.errors import ValidationFailed
from omniroute.operations.inputs import convert_input

FIELD = "providerSpecificData"
MOST_OPTIONS = 100
MOST_EXTRA_KEYS = 50
MOST_PATTERNS = 100

Short: TypeAlias = Annotated[str, Meta(max_length=500)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=10_000)]
Pattern: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Patterns: TypeAlias = (
    Annotated[str, Meta(max_length=5_000)]
    | Annotated[tuple[Pattern, ...], Meta(max_length=MOST_PATTERNS)]
)


class RequestDefaults(Struct, frozen=True, kw_only=True, rename="camel"):
    """What requests through an account ask for where they do not say."""

    reasoning_effort: Literal["none", "low", "medium", "high", "xhigh"] | None = None
    service_tier: Literal["priority", "fast"] | None = None
    context1m: bool | None = None


class KnownOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """The options that are checked; others are kept as they are."""

    base_url: str | None = None
    quota_url: str | None = None
    quota_path: str | None = None
    custom_user_agent: Short | None = None
    cx: Short | None = None
    openai_store_enabled: bool | None = None
    block_extra_usage: bool | None = None
    auto_fetch_models: bool | None = None
    disable_stream_options: bool | None = None
    request_defaults: RequestDefaults | None = None
    console_api_key: Annotated[str, Meta(max_length=10_000)] | None = None
    extra_api_keys: Annotated[tuple[Key, ...], Meta(max_length=MOST_EXTRA_KEYS)] | None = None
    tag: Annotated[str, Meta(max_length=100)] | None = None
    tags: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=50)
        ]
        | None
    ) = None
    excluded_models: Patterns | None = None
    excluded_models_old: Patterns | None = field(default=None, name="excluded_models")


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options in today's words: patterns of models as a list, under one name.

    Raises:
        ValidationFailed: a known option is of the wrong kind.
    """
    if len(options) > MOST_OPTIONS:
        raise ValidationFailed([(FIELD, f"has more than {MOST_OPTIONS} members")])
    try:
        known = convert_input(KnownOptions, options)
    except ValidationFailed as error:
        problems = [(f"{FIELD}.{name}".strip("."), told) for name, told in error.problems]
        raise ValidationFailed(problems) from error
    if known.openai_store_enabled:
        raise _wrong(
            "openaiStoreEnabled", "cannot be true: the gateway itself keeps stored responses"
        )
    if known.block_extra_usage:
        raise _wrong(
            "blockExtraUsage",
            "cannot be true: switch extra usage off at the provider, or rest the account before "
            "it is used up, with quotaWindowThresholds",
        )
    for name, url in (("baseUrl", known.base_url), ("quotaUrl", known.quota_url)):
        if url is not None and not is_http_url(url):
            raise _wrong(name, "must be an http or https URL")
    if known.quota_path is not None and not known.quota_path.startswith("/"):
        raise _wrong("quotaPath", "must begin with a slash")
    if known.custom_user_agent is not None and not _is_header(known.custom_user_agent):
        raise _wrong("customUserAgent", "must be one line of ASCII text")
    if any(not key.strip() for key in known.extra_api_keys or ()):
        raise _wrong("extraApiKeys", "must not hold blank keys")
    found = {name: value for name, value in options.items() if name != "excluded_models"}
    patterns = known.excluded_models_old if known.excluded_models is None else known.excluded_models
    if patterns is not None:
        found["excludedModels"] = _patterns(patterns)
    return found


def merged_options(stored: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Stored options with those that were said over them; null takes one away."""
    both = {**stored, **said}
    return {name: value for name, value in both.items() if value is not None}


def is_http_url(value: object) -> bool:
    """Whether `value` is an absolute http(s) URL without credentials in it."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and "@" not in parts.netloc


def _patterns(written: str | tuple[str, ...]) -> list[str]:
    parts = re.split(r"[,\n]", written) if isinstance(written, str) else written
    found = [part.strip() for part in parts if part.strip()]
    if len(found) > MOST_PATTERNS or any(len(part) > 200 for part in found):
        raise _wrong("excludedModels", f"holds more than {MOST_PATTERNS} patterns, or a longer one")
    if "**" in found:
        raise _wrong("excludedModels", "'**' excludes everything; switch the account off")
    return list(dict.fromkeys(found))


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _wrong(name: str, told: str) -> ValidationFailed:
    return ValidationFailed([(f"{FIELD}.{name}", told)])
