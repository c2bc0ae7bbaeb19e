"""What operators write about a key, checked: names, limits, hours and addresses. 02 §8.2."""

from ipaddress import ip_network
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from omniroute.caller import Caller, RateRule, covers
from omniroute.clock import from_iso
from omniroute.errors import Conflict, ValidationFailed
from omniroute.storage.records.configuration import AccessSchedule

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Scope = Annotated[str, Meta(min_length=1, max_length=64)]
Scopes = Annotated[tuple[Scope, ...], Meta(max_length=16)]
Models = Annotated[tuple[Name, ...], Meta(max_length=1000)]
_UUID = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
Connections = Annotated[tuple[Annotated[str, Meta(pattern=_UUID)], ...], Meta(max_length=100)]
Addresses = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=1000)
]
Time = Annotated[str, Meta(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$")]
Day = Annotated[int, Meta(ge=0, le=6)]
Requests = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class RuleInput(Struct, frozen=True):
    """At most `limit` requests in each window of `window` seconds."""

    limit: Requests
    window: Annotated[int, Meta(ge=1, le=31_622_400)]


class ScheduleInput(Struct, frozen=True, kw_only=True):
    """Hours on the clock of a time zone; `days` from 0 for Sunday are those they begin on."""

    enabled: bool
    from_: Time = field(name="from")
    until: Time
    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)]
    tz: Annotated[str, Meta(min_length=1, max_length=64)]


class KeyPolicy(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a key may do; what is not named stays. Null takes a limit away."""

    scopes: Scopes | UnsetType = UNSET
    allowed_models: Models | UnsetType = UNSET
    allowed_connections: Connections | UnsetType = UNSET
    no_log: bool | UnsetType = UNSET
    auto_resolve: bool | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_banned: bool | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET
    max_sessions: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET
    access_schedule: ScheduleInput | UnsetType | None = UNSET
    rate_limits: Annotated[tuple[RuleInput, ...], Meta(max_length=50)] | UnsetType | None = UNSET
    max_requests_per_day: Requests | UnsetType | None = UNSET
    max_requests_per_minute: Requests | UnsetType | None = UNSET
    ip_allowlist: Addresses | UnsetType = UNSET
    disabled_guardrails: Scopes | UnsetType = UNSET


class KeyInput(KeyPolicy, frozen=True, kw_only=True, rename="camel"):
    """A new key (02 §8.4)."""

    name: Name


class KeyChange(KeyPolicy, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What changes about a key; at least one field."""

    name: Name | UnsetType = UNSET


def fields_of(written: KeyInput | KeyChange) -> dict[str, object]:
    """What is named, as the record of a key has it.

    Raises:
        ValidationFailed: a name is blank, a date is none, or an address is none.
    """
    said = {
        name: getattr(written, name)
        for name in written.__struct_fields__
        if getattr(written, name) is not UNSET
    }
    if "name" in said:
        said["name"] = _trimmed(said["name"])
    if said.get("expires_at") is not None:
        _require_date(said["expires_at"])
    if "ip_allowlist" in said:
        said["ip_allowlist"] = _networks(said["ip_allowlist"])
    if "scopes" in said:
        said["scopes"] = tuple(dict.fromkeys(said["scopes"]))
    schedule = said.get("access_schedule")
    if schedule is not None:
        said["access_schedule"] = AccessSchedule(
            enabled=schedule.enabled,
            from_=schedule.from_,
            until=schedule.until,
            days=tuple(sorted(set(schedule.days))),
            tz=schedule.tz,
        )
    if "rate_limits" in said:
        rules = said["rate_limits"] or ()
        said["rate_limits"] = tuple(RateRule(one.limit, one.window) for one in rules) or None
    return said


def require_grantable(caller: Caller, wanted: tuple[str, ...], had: tuple[str, ...] = ()) -> None:
    """Nobody hands out with one key what another key of theirs may not do.

    Raises:
        Conflict: a scope is new and the caller's own key lacks it.
    """
    if caller.key_id is None:
        return
    lacking = [one for one in wanted if one not in had and not covers(caller.scopes, one)]
    if lacking:
        raise Conflict(
            f"This API key may not grant what it lacks itself: {', '.join(lacking)}.",
            code="scope_not_held",
        )


def _trimmed(name: str) -> str:
    name = name.strip()
    if not name:
        raise ValidationFailed([("name", "must not be blank")])
    return name


def _require_date(text: str) -> None:
    try:
        from_iso(text)
    except (ValueError, OverflowError) as error:
        raise ValidationFailed([("expiresAt", "must be an ISO-8601 date")]) from error


def _networks(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks in one spelling."""
    found: dict[str, None] = {}
    for at, entry in enumerate(entries):
        try:
            network = ip_network(entry.strip(), strict=False)
        except ValueError as error:
            told = "must be an address or a network such as 10.0.0.0/8"
            raise ValidationFailed([(f"ipAllowlist.{at}", told)]) from error
        single = network.num_addresses == 1
        found[str(network.network_address) if single else str(network)] = None
    return tuple(found)
