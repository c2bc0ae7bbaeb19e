"""What operators want done about quotas: limits, cut-offs, warnings, watching. Source: 05 §5.4."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from omniroute.catalog.provider import Provider
from omniroute.catalog.quota_report import plain
from omniroute.catalog.quota_shapes import Shape
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import Connection

SETTING = "quotaPreflight"
DEFAULT_LIMIT_PERCENT = 99.0

_Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)]


class QuotaPreflight(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The setting. Percentages are of what is left; window defaults are by provider id."""

    default_threshold_percent: Annotated[int, Meta(ge=0, le=99)] = 2
    warn_threshold_percent: _Percent = 20
    provider_window_defaults: dict[str, dict[str, _Percent]] = {}


USUAL = QuotaPreflight()


class QuotaRules(Struct, frozen=True, kw_only=True):
    """What holds for one account. Names of windows are plain, so that they only need comparing.

    `shape` is None where nobody can be asked what is left. `limit_used` is the share (0-1) at
    which the listed windows stop it. `preflight`: what is left is looked at before it is used;
    `own_cutoffs` and `provider_cutoffs` are percentages left by window, `cutoff` is for the rest,
    and `warn` is where the trace begins to say so. `monitored`: it is watched while in use.
    """

    shape: Shape | None = None
    limit_used: float = DEFAULT_LIMIT_PERCENT / 100
    limit_windows: tuple[str, ...] = ()
    preflight: bool = False
    own_cutoffs: Mapping[str, int] = {}
    provider_cutoffs: Mapping[str, int] = {}
    cutoff: int = USUAL.default_threshold_percent
    warn: int = USUAL.warn_threshold_percent
    monitored: bool = False

    def cutoff_of(self, window: str) -> int:
        """The percentage left at which a window, by its plain name, stops the account."""
        found = _named(self.own_cutoffs, window)
        if found is None:
            found = _named(self.provider_cutoffs, window)
        return self.cutoff if found is None else found


NO_RULES = QuotaRules()


def rules_of(snapshot: Snapshot, connection: str, setting: QuotaPreflight) -> QuotaRules:
    """The rules of an account; none for one that is gone."""
    account = snapshot.connections.get(connection)
    provider = snapshot.providers.get(account.provider) if account is not None else None
    if account is None or provider is None:
        return NO_RULES
    limit_used, limit_windows = _limit(account.options.get("limitPolicy"))
    shape = shape_of(provider, account)
    own = _plainly(account.quota_window_thresholds or {})
    usual = _plainly(setting.provider_window_defaults.get(provider.id, {}))
    told = account.options.get("quotaPreflightEnabled") is True
    wanted = bool(own or usual) or told or setting.default_threshold_percent > 2
    return QuotaRules(
        shape=shape,
        limit_used=limit_used,
        limit_windows=limit_windows,
        preflight=wanted and shape is not None,
        own_cutoffs=own,
        provider_cutoffs=usual,
        cutoff=setting.default_threshold_percent,
        warn=setting.warn_threshold_percent,
        monitored=account.options.get("quotaMonitorEnabled") is True and shape is not None,
    )


def read_setting(value: Any) -> QuotaPreflight:
    """The setting as it is stored; what is not named has its default.

    Raises:
        msgspec.ValidationError: a name is unknown, or a value out of its limits.
    """
    return msgspec.convert(value, QuotaPreflight)


def shape_of(provider: Provider, account: Connection) -> Shape | None:
    """The shape of what an account's usage API answers; None where it has none."""
    if account.options.get("quotaUrl") or account.options.get("quotaPath"):
        return "omniroute"
    return provider.quota.shape if provider.quota is not None else None


def _limit(policy: object) -> tuple[float, tuple[str, ...]]:
    if not isinstance(policy, Mapping) or policy.get("enabled") is not True:
        return DEFAULT_LIMIT_PERCENT / 100, ()
    listed, told = policy.get("windows"), policy.get("thresholdPercent")
    percent = DEFAULT_LIMIT_PERCENT
    if isinstance(told, int | float) and not isinstance(told, bool) and 1 <= told <= 100:
        percent = float(told)
    windows = tuple(plain(str(name)) for name in listed) if isinstance(listed, list) else ()
    return percent / 100, windows


def goes_by(window: str, name: str) -> bool:
    """Whether a window goes by a name, both plain: the same, or its beginning."""
    return window == name or window.startswith(f"{name} ")


def _named(cutoffs: Mapping[str, int], window: str) -> int | None:
    """The cut-off of a window: under its own name before that of its beginning."""
    if window in cutoffs:
        return cutoffs[window]
    return next((cutoffs[name] for name in cutoffs if goes_by(window, name)), None)


def _plainly(cutoffs: Mapping[str, int]) -> dict[str, int]:
    return {plain(name): percent for name, percent in cutoffs.items()}
