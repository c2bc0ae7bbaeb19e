"""The resilience settings as the current configuration applies them to each account."""

import logging
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from omniroute.routing.quotas import rules as quota_rules
from omniroute.routing.quotas.rules import USUAL, QuotaPreflight, QuotaRules, read_setting, rules_of
from omniroute.routing.resilience.profiles import (
    SETTING,
    Category,
    Defaults,
    Profile,
    Resilience,
    in_force,
    profile,
)
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Connection

log = logging.getLogger(__name__)


class QueueRules(Struct, frozen=True, kw_only=True):
    """How the requests to an account line up. None is no limit.

    `paced`: the limits of an operator and those in the answers' headers hold. `per_model`: every
    model has a line of its own.
    """

    most: int | None = None
    paced: bool = False
    per_minute: int | None = None
    gap_ms: int = 0
    max_wait_ms: int = 120_000
    per_model: bool = False


_MODEL_QUOTAS = frozenset({"gemini", "github"})


class Policy:
    """Looks up what holds for an account right now; what it worked out lasts for a snapshot.

    Args:
        snapshot: the configuration in force.
        defaults: what holds where no operator has changed anything.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], defaults: Defaults) -> None:
        self._snapshot = snapshot
        self.defaults = defaults
        self._seen: Snapshot | None = None
        self._settings = defaults.settings
        self._profiles: dict[tuple[str, str], Profile] = {}
        self._queues: dict[str, QueueRules] = {}
        self._preflight = USUAL
        self._quota_rules: dict[str, QuotaRules] = {}

    @property
    def settings(self) -> Resilience:
        """The settings in force."""
        self._current()
        return self._settings

    def profile(self, provider: str, connection: str) -> Profile:
        """The profile of an account; one that is gone counts as any with an API key."""
        snapshot = self._current()
        key = (provider, connection)
        if key not in self._profiles:
            account = snapshot.connections.get(connection)
            self._profiles[key] = profile(
                self._settings,
                self.defaults.local_breaker,
                "apikey" if account is None else category_of(snapshot, account),
                direct=provider not in snapshot.nodes,
                model_quotas=_counts_per_model(snapshot, provider, account),
            )
        return self._profiles[key]

    def queue(self, account: Connection) -> QueueRules:
        """How requests to an account line up."""
        self._current()
        if account.id not in self._queues:
            self._queues[account.id] = self._queue(account)
        return self._queues[account.id]

    @property
    def quota_preflight(self) -> QuotaPreflight:
        """The preflight setting in force."""
        self._current()
        return self._preflight

    def quota_rules(self, connection: str) -> QuotaRules:
        """What holds for the quota of an account."""
        snapshot = self._current()
        if connection not in self._quota_rules:
            self._quota_rules[connection] = rules_of(snapshot, connection, self._preflight)
        return self._quota_rules[connection]

    def protected(self, account: Connection) -> bool:
        """Whether the request queue holds for an account: as told, else with API keys."""
        if account.rate_limit_protection is not None:
            return account.rate_limit_protection
        return account.auth_type == "apikey" and (
            self.settings.request_queue.auto_enable_api_key_providers
            if self.defaults.protect_api_keys is None
            else self.defaults.protect_api_keys
        )

    def _queue(self, account: Connection) -> QueueRules:
        rules = self._settings.request_queue
        own = account.max_concurrent if (account.max_concurrent or 0) > 0 else None
        if not self.protected(account):
            return QueueRules(most=own)
        both = [limit for limit in (own, rules.concurrent_requests) if limit is not None]
        return QueueRules(
            most=min(both, default=None),
            paced=True,
            per_minute=rules.requests_per_minute,
            gap_ms=rules.min_time_between_requests_ms,
            max_wait_ms=rules.max_wait_ms,
            per_model=account.provider in _MODEL_QUOTAS,
        )

    def _current(self) -> Snapshot:
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen, self._profiles, self._queues = snapshot, {}, {}
            try:
                stored = snapshot.settings.get(SETTING) or {}
                self._settings = in_force(self.defaults.settings, stored)
            except msgspec.ValidationError as error:
                log.warning("the stored resilience settings are not valid: %s", error)
                self._settings = self.defaults.settings
            self._quota_rules = {}
            try:
                self._preflight = read_setting(snapshot.settings[quota_rules.SETTING])
            except msgspec.ValidationError as error:
                log.warning("the stored quota preflight is not valid: %s", error)
                self._preflight = USUAL
        return snapshot


def category_of(snapshot: Snapshot, account: Connection) -> Category:
    """What kind of account this is."""
    row = snapshot.providers.get(account.provider)
    url = account.options.get("baseUrl") or (row.base_url if row is not None else "")
    if is_nearby(str(url)):
        return "local"
    return "oauth" if account.auth_type == "oauth" else "apikey"


def is_nearby(url: str) -> bool:
    """Whether an address lies on this machine or a private network, by its spelling alone."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _counts_per_model(snapshot: Snapshot, provider: str, account: Connection | None) -> bool:
    told = account.options.get("passthroughModels") if account is not None else None
    if isinstance(told, bool):
        return told
    return provider in _MODEL_QUOTAS or provider in snapshot.nodes
