"""Which addresses may connect: lists, and bans that end by themselves. 02 §10.4."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.clock import iso
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.storage.records.access import Ban, IpFilter

Entry = Annotated[str, Meta(min_length=1, max_length=64)]
Entries = Annotated[tuple[Entry, ...], Meta(max_length=10_000)]


class TempBan(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Refuse an address for a while."""

    ip: Entry
    duration_ms: Annotated[int, Meta(ge=1, le=31_536_000_000)] = 3_600_000
    reason: Annotated[str, Meta(max_length=200)] = "manual"


class IpFilterChange(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Changes what is named. `blacklist` and `whitelist` replace; `add…` and `remove…` do not."""

    enabled: bool | None = None
    mode: Literal["blacklist", "whitelist"] | None = None
    blacklist: Entries | None = None
    whitelist: Entries | None = None
    add_blacklist: Entry | None = None
    remove_blacklist: Entry | None = None
    add_whitelist: Entry | None = None
    remove_whitelist: Entry | None = None
    temp_ban: TempBan | None = None
    remove_ban: Entry | None = None


class BanView(Struct, frozen=True, kw_only=True, rename="camel"):
    """An address that is refused for a while."""

    ip: str
    until: str
    reason: str
    remaining_ms: int


class IpFilterView(Struct, frozen=True, kw_only=True, rename="camel"):
    """The filter in force."""

    enabled: bool
    mode: str
    blacklist: tuple[str, ...]
    whitelist: tuple[str, ...]
    temp_bans: list[BanView]


async def ip_filter(engine: Engine, caller: Caller) -> IpFilterView:
    """The filter in force."""
    return _view(engine.snapshot.access.ip_filter, engine.now_ms())


async def change_ip_filter(engine: Engine, caller: Caller, change: IpFilterChange) -> IpFilterView:
    """Change the filter; it holds from the next request on. This machine is never refused.

    Raises:
        ValidationFailed: nothing is named, or an entry is no address, network or beginning.
    """
    if all(value is None for value in msgspec.structs.astuple(change)):
        raise ValidationFailed([("", "at least one field is needed")])
    require_entries(change)
    now_ms = engine.now_ms()
    async with engine.configuration.change(caller, "settings.ip_filter.updated") as work:
        changed = changed_filter((await work.access.rules()).ip_filter, change, now_ms)
        await work.access.set_ip_filter(changed)
        work.details.update(msgspec.to_builtins(change))
    return _view(changed, now_ms)


def refuses(rules: IpFilter, address: str | None, now_ms: int) -> bool:
    """Whether requests from an address are refused; a ban comes before the lists."""
    if rules.is_idle:
        return False
    ban = rules.temp_bans.get(_plain(address or ""))
    if ban is not None and ban.until_ms > now_ms:
        return True
    if not rules.enabled:
        return False
    if rules.mode == "whitelist":
        return not _listed(rules.whitelist, address)
    return _listed(rules.blacklist, address)


def network_of(entry: str) -> IPv4Network | IPv6Network:
    """An entry as a network; `10.1.*` is `10.1.0.0/16` and `2001:db8:*` is `2001:db8::/32`.

    Raises:
        ValueError: it is no entry.
    """
    text = entry.strip()
    if not text.endswith("*"):
        return ip_network(text, strict=False)
    begun = text[:-1]
    if ":" in begun:
        groups = begun.rstrip(":").split(":")
        return ip_network(f"{':'.join(groups)}::/{16 * len(groups)}", strict=True)
    octets = begun.rstrip(".").split(".") if begun else []
    if begun and not begun.endswith("."):
        raise ValueError(entry)
    filled = [*octets, *["0"] * (4 - len(octets))]
    return ip_network(f"{'.'.join(filled)}/{8 * len(octets)}", strict=True)


def _listed(entries: tuple[str, ...], address: str | None) -> bool:
    try:
        ip = ip_address(_plain(address or ""))
    except ValueError:
        return False
    return any(ip in network for network in _networks(entries))


@lru_cache(maxsize=16)
def _networks(entries: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(network_of(entry) for entry in entries)


def _plain(address: str) -> str:
    """An address in one spelling, without its zone; an IPv4 one that IPv6 carries as itself."""
    try:
        ip = ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return address
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def require_entries(change: IpFilterChange) -> None:
    """Refuse what is no address, network or beginning.

    Raises:
        ValidationFailed: says which.
    """
    lists = {"blacklist": change.blacklist or (), "whitelist": change.whitelist or ()}
    named = [(f"{name}.{at}", one) for name, many in lists.items() for at, one in enumerate(many)]
    named += [
        (name, value)
        for name, value in (
            ("addBlacklist", change.add_blacklist),
            ("addWhitelist", change.add_whitelist),
        )
        if value is not None
    ]
    problems = []
    for field, entry in named:
        try:
            network_of(entry)
        except ValueError:
            told = "must be an address, a network such as 10.0.0.0/8, or a beginning such as 10.1.*"
            problems.append((field, told))
    if change.temp_ban is not None:
        try:
            ip_address(_plain(change.temp_ban.ip))
        except ValueError:
            problems.append(("tempBan.ip", "must be an address"))
    if problems:
        raise ValidationFailed(problems)


def changed_filter(old: IpFilter, change: IpFilterChange, now_ms: int) -> IpFilter:
    """The filter with what is said of it; bans that are over are gone."""
    bans = {ip: ban for ip, ban in old.temp_bans.items() if ban.until_ms > now_ms}
    if change.temp_ban is not None:
        until_ms = now_ms + change.temp_ban.duration_ms
        bans[_plain(change.temp_ban.ip)] = Ban(until_ms=until_ms, reason=change.temp_ban.reason)
    if change.remove_ban is not None:
        bans.pop(_plain(change.remove_ban), None)
    return IpFilter(
        enabled=old.enabled if change.enabled is None else change.enabled,
        mode=change.mode or old.mode,
        blacklist=_entries(
            old.blacklist, change.blacklist, change.add_blacklist, change.remove_blacklist
        ),
        whitelist=_entries(
            old.whitelist, change.whitelist, change.add_whitelist, change.remove_whitelist
        ),
        temp_bans=bans,
    )


def _entries(
    old: tuple[str, ...], replaced: tuple[str, ...] | None, added: str | None, removed: str | None
) -> tuple[str, ...]:
    kept = dict.fromkeys(old if replaced is None else [one.strip() for one in replaced])
    if added is not None:
        kept[added.strip()] = None
    if removed is not None:
        kept.pop(removed.strip(), None)
    return tuple(kept)


def _view(rules: IpFilter, now_ms: int) -> IpFilterView:
    bans: Any = sorted(rules.temp_bans.items(), key=lambda pair: pair[1].until_ms)
    return IpFilterView(
        enabled=rules.enabled,
        mode=rules.mode,
        blacklist=rules.blacklist,
        whitelist=rules.whitelist,
        temp_bans=[
            BanView(
                ip=ip,
                until=iso(ban.until_ms),
                reason=ban.reason,
                remaining_ms=ban.until_ms - now_ms,
            )
            for ip, ban in bans
            if ban.until_ms > now_ms
        ],
    )
