"""What a key's record says about its use: whether, when, from where and how often. 05 §1.2."""

import logging
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from zoneinfo import ZoneInfo

from omniroute.caller import RateRule
from omniroute.clock import from_iso
from omniroute.errors import Forbidden
from omniroute.storage.records.configuration import AccessSchedule, ApiKey

log = logging.getLogger(__name__)

Network: TypeAlias = IPv4Network | IPv6Network

MINUTE_S = 60
DAY_S = 86_400
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def require_valid(key: ApiKey, now_ms: int) -> None:
    """Refuse a key that does not count any more.

    Raises:
        Forbidden: it is switched off, banned, revoked or expired.
    """
    if not key.is_active:
        raise Forbidden("This API key is switched off.")
    if key.is_banned:
        raise Forbidden("This API key is banned.")
    if key.revoked_at is not None:
        raise Forbidden("This API key is revoked.")
    if key.expires_at is not None and from_iso(key.expires_at) < now_ms:
        raise Forbidden("This API key has expired.")


def require_usable(key: ApiKey, now_ms: int, address: str | None) -> None:
    """Refuse a key that does not count now, or not from there; the first reason is told.

    Args:
        address: where the request comes from; None when nobody knows.

    Raises:
        Forbidden: as for `require_valid`, outside its hours, or from an address it is not for.
    """
    require_valid(key, now_ms)
    schedule = key.access_schedule
    if schedule is not None and not in_schedule(schedule, now_ms):
        days = ", ".join(_DAYS[day] for day in sorted(schedule.days))
        raise Forbidden(
            f"This API key may be used from {schedule.from_} until {schedule.until} "
            f"({schedule.tz}) on {days} only."
        )
    if key.ip_allowlist and not address_allowed(key.ip_allowlist, address):
        raise Forbidden("This API key may not be used from this address.")


def in_schedule(schedule: AccessSchedule, now_ms: int) -> bool:
    """Whether a moment is in a window of a schedule, on the clock of its time zone.

    A window past midnight belongs to the day it began on. A time zone nobody knows restricts
    nothing (05 §1.2).
    """
    zone = known_zone(schedule.tz)
    if not schedule.enabled or zone is None:
        return True
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    at, begins, ends = f"{local:%H:%M}", schedule.from_, schedule.until
    if begins < ends:
        return begins <= at < ends and _weekday(local) in schedule.days
    if at >= begins:
        return _weekday(local) in schedule.days
    return at < ends and _weekday(local - timedelta(days=1)) in schedule.days


@lru_cache(maxsize=1_024)
def known_zone(name: str) -> tzinfo | None:
    """A time zone by its IANA name; None when this machine does not know it."""
    if name.upper() == "UTC":
        return UTC  # known without the system's files, too
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        log.warning("the time zone '%s' is unknown: schedules in it restrict nothing", name)
        return None


def address_allowed(entries: tuple[str, ...], address: str | None) -> bool:
    """Whether an address is one of `entries`, or in a network of them."""
    try:
        ip = ip_address((address or "").partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network for network in _networks(entries))
    except ValueError:
        return False


def rules_of(key: ApiKey, default: tuple[RateRule, ...] = ()) -> tuple[RateRule, ...]:
    """How often a key may ask: its own rules, else the older two fields, else `default`."""
    if key.rate_limits:
        return key.rate_limits
    older = ((key.max_requests_per_minute, MINUTE_S), (key.max_requests_per_day, DAY_S))
    return tuple(RateRule(limit, window) for limit, window in older if limit) or default


def default_rules(per_day: int) -> tuple[RateRule, ...]:
    """How often keys without limits of their own may ask: a day, a week, a month (02 §8.2)."""
    if per_day <= 0:
        return ()
    spans = ((1, 1), (5, 7), (20, 30))
    return tuple(RateRule(per_day * times, days * DAY_S) for times, days in spans)


@lru_cache(maxsize=4_096)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in entries)


def _weekday(local: datetime) -> int:
    """0 for Sunday, as schedules count."""
    return local.isoweekday() % 7
