"""The one table of who may reach which route; the rest is management. 02 §2.1, §2.4."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.http.paths import OLLAMA_PATHS

RouteClass: TypeAlias = Literal["PUBLIC", "CLIENT_API", "MANAGEMENT"]
Tier: TypeAlias = Literal["normal", "local_only", "always_protected", "operators"]

MANAGED = ("/v1/management",)
"""Management that is classed as a model API (02 §2.3)."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteRule(Struct, frozen=True):
    """Whoever asks for `prefix` or below, with one of `methods` (empty: any). A key with `scope`
    may ask for it as well, without managing anything else."""

    prefix: str
    route_class: RouteClass
    methods: frozenset[str] = frozenset()
    tier: Tier = "normal"
    scope: str | None = None


def _public(*prefixes: str, methods: frozenset[str] = frozenset()) -> tuple[RouteRule, ...]:
    return tuple(RouteRule(prefix, "PUBLIC", methods) for prefix in prefixes)


def _protected(prefix: str, *methods: str) -> RouteRule:
    return RouteRule(prefix, "MANAGEMENT", frozenset(methods), "always_protected")


RULES: tuple[RouteRule, ...] = (
    # Their handlers ask for a credential of their own where they need one.
    *_public("/api/auth/login", "/api/auth/logout", "/api/auth/status", "/api/init"),
    *_public("/api/cloud", "/api/sync/bundle", "/api/oauth"),
    *_public("/health", "/docs", "/.well-known", "/a2a", "/login", "/callback"),
    *_public("/dashboard/onboarding"),
    *_public("/api/monitoring/health", "/api/settings/require-login", methods=_READS),
    *(RouteRule(prefix, "CLIENT_API", tier="operators") for prefix in MANAGED),
    *(RouteRule(prefix, "CLIENT_API") for prefix in ("/v1", "/v1beta", *OLLAMA_PATHS)),
    RouteRule("/metrics", "MANAGEMENT", scope="metrics"),
    RouteRule("/api/cli-tools/runtime", "MANAGEMENT", tier="local_only"),
    _protected("/api/shutdown"),
    _protected("/api/restart"),
    _protected("/api/settings/database"),
    _protected("/api/settings/encryption"),
    _protected("/api/db-backups/import"),
    _protected("/api/db-backups", "POST"),
    _protected("/api/system/env/repair", "POST"),
)
"""The first row that fits holds."""

_OTHERWISE = RouteRule("/", "MANAGEMENT")
_ROOT = RouteRule("/", "PUBLIC")


def rule_for(path: str, method: str) -> RouteRule:
    """The row of a canonical path."""
    if path == "/":
        return _ROOT
    for rule in RULES:
        if (not rule.methods or method in rule.methods) and is_under(path, (rule.prefix,)):
            return rule
    return _OTHERWISE


def route_class(path: str, method: str) -> RouteClass:
    """The class of a canonical path. What nothing else claims is management: closed by default."""
    return rule_for(path, method).route_class


def is_for_operators(path: str, method: str) -> bool:
    """Whether only operators may know what is at a path: all of management, and what of it lies
    among the model APIs."""
    rule = rule_for(path, method)
    return rule.route_class == "MANAGEMENT" or rule.tier == "operators"


def is_under(path: str, prefixes: Sequence[str]) -> bool:
    """Whether a path is one of `prefixes` or below it."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
