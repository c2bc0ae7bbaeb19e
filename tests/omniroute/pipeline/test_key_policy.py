"""Hours, addresses and rules of keys."""

from typing import Any

import pytest

from omniroute.caller import RateRule
from omniroute.clock import from_iso
from omniroute.errors import Forbidden
from omniroute.pipeline.callers.key_policy import (
    address_allowed,
    default_rules,
    in_schedule,
    require_usable,
    rules_of,
)
from omniroute.storage.records.configuration import AccessSchedule, ApiKey

WEEK = tuple(range(7))
WORKDAYS = (1, 2, 3, 4, 5)


def hours(begins: str, ends: str, days: tuple[int, ...] = WEEK, **more: Any) -> AccessSchedule:
    return AccessSchedule(
        **{"enabled": True, "from_": begins, "until": ends, "days": days, "tz": "UTC", **more}
    )


# 2027-01-15 is a Friday.
MOMENTS: dict[str, tuple[AccessSchedule, str, bool]] = {
    "in the middle": (hours("09:00", "17:00"), "2027-01-15T12:00:00Z", True),
    "the first minute counts": (hours("09:00", "17:00"), "2027-01-15T09:00:00Z", True),
    "the minute before does not": (hours("09:00", "17:00"), "2027-01-15T08:59:59Z", False),
    "nor does the last": (hours("09:00", "17:00"), "2027-01-15T17:00:00Z", False),
    "a day that is not named": (hours("09:00", "17:00", (0,)), "2027-01-15T12:00:00Z", False),
    "Sunday is 0": (hours("09:00", "17:00", (0,)), "2027-01-17T12:00:00Z", True),
    "before midnight": (hours("22:00", "06:00"), "2027-01-15T23:00:00Z", True),
    "after midnight": (hours("22:00", "06:00"), "2027-01-15T05:59:00Z", True),
    "the end of the night": (hours("22:00", "06:00"), "2027-01-15T06:00:00Z", False),
    "a night belongs to the day it began on": (
        hours("22:00", "06:00", WORKDAYS),
        "2027-01-16T02:00:00Z",
        True,
    ),
    "and to no other": (hours("22:00", "06:00", WORKDAYS), "2027-01-18T02:00:00Z", False),
    "the whole day": (hours("00:00", "00:00", (5,)), "2027-01-15T23:59:59Z", True),
    "and no minute more": (hours("00:00", "00:00", (5,)), "2027-01-16T00:00:00Z", False),
    "a clock elsewhere": (
        hours("09:00", "17:00", tz="Asia/Tokyo"),
        "2027-01-15T00:30:00Z",
        True,
    ),
    "a day elsewhere": (
        hours("00:00", "09:00", (6,), tz="Asia/Tokyo"),
        "2027-01-15T16:00:00Z",
        True,
    ),
    "summer time": (
        hours("09:00", "10:00", tz="Europe/Berlin"),
        "2027-07-15T07:30:00Z",
        True,
    ),
    "an unknown time zone restricts nothing": (
        hours("09:00", "10:00", tz="Mars/Base"),
        "2027-01-15T03:00:00Z",
        True,
    ),
    "nor does a folder of them": (hours("09:00", "10:00", tz=".."), "2027-01-15T03:00:00Z", True),
    "nor does one that is off": (
        hours("09:00", "10:00", enabled=False),
        "2027-01-15T03:00:00Z",
        True,
    ),
}


@pytest.mark.parametrize(("schedule", "at", "expected"), MOMENTS.values(), ids=MOMENTS)
def test_schedules(schedule: AccessSchedule, at: str, expected: bool) -> None:
    assert in_schedule(schedule, from_iso(at)) is expected


ADDRESSES: dict[str, tuple[tuple[str, ...], str | None, bool]] = {
    "an address": (("10.1.2.3",), "10.1.2.3", True),
    "another address": (("10.1.2.3",), "10.1.2.4", False),
    "a network": (("192.0.2.1", "10.0.0.0/8"), "10.200.0.1", True),
    "beside a network": (("10.0.0.0/8",), "11.0.0.1", False),
    "version 6": (("2001:db8::/32",), "2001:db8::7", True),
    "with its interface": (("fe80::/10",), "fe80::1%eth0", True),
    "4 written as 6": (("10.0.0.0/8",), "::ffff:10.0.0.9", True),
    "4 is not 6": (("::/0",), "10.0.0.9", False),
    "nobody knows": (("0.0.0.0/0",), None, False),
    "no address": (("0.0.0.0/0",), "unknown", False),
    "a damaged entry lets nobody in": (("oops",), "10.0.0.1", False),
}


@pytest.mark.parametrize(("entries", "address", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_addresses(entries: tuple[str, ...], address: str | None, expected: bool) -> None:
    assert address_allowed(entries, address) is expected


def key(**policy: Any) -> ApiKey:
    return ApiKey(id="k", name="k", key_hash="", prefix="", suffix="", machine_id="", **policy)


SHUT = hours("09:00", "10:00", (0,))
FIRST: dict[str, tuple[ApiKey, str]] = {
    "off before banned": (
        key(is_active=False, is_banned=True, ip_allowlist=("10.0.0.1",)),
        "switched off",
    ),
    "banned before expired": (key(is_banned=True, expires_at="2020-01-01"), "banned"),
    "expired before hours": (key(expires_at="2020-01-01", access_schedule=SHUT), "expired"),
    "hours before addresses": (
        key(access_schedule=SHUT, ip_allowlist=("10.0.0.1",)),
        "from 09:00 until 10:00 (UTC) on Sunday only",
    ),
    "addresses": (key(ip_allowlist=("10.0.0.1",)), "from this address"),
}


@pytest.mark.parametrize(("record", "told"), FIRST.values(), ids=FIRST)
def test_the_first_reason_in_order_is_told(record: ApiKey, told: str) -> None:
    with pytest.raises(Forbidden, match=told.replace("(", r"\(").replace(")", r"\)")):
        require_usable(record, from_iso("2027-01-15T12:00:00Z"), "10.0.0.2")


RULES: dict[str, tuple[ApiKey, tuple[RateRule, ...]]] = {
    "none": (key(), ()),
    "its own": (key(rate_limits=(RateRule(3, 5),), max_requests_per_day=9), (RateRule(3, 5),)),
    "the older fields": (
        key(max_requests_per_day=9, max_requests_per_minute=2),
        (RateRule(2, 60), RateRule(9, 86_400)),
    ),
    "one of them": (key(max_requests_per_day=9), (RateRule(9, 86_400),)),
}


@pytest.mark.parametrize(("record", "expected"), RULES.values(), ids=RULES)
def test_rules(record: ApiKey, expected: tuple[RateRule, ...]) -> None:
    assert rules_of(record) == expected


def test_keys_without_rules_have_the_default() -> None:
    default = default_rules(10)
    assert default == (
        RateRule(10, 86_400),
        RateRule(50, 7 * 86_400),
        RateRule(200, 30 * 86_400),
    )
    assert rules_of(key(), default) == default
    assert rules_of(key(max_requests_per_day=3), default) == (RateRule(3, 86_400),)
    assert default_rules(0) == ()
