"""What guards the management plane: the password, the address filter, and who is locked out."""

from typing import Literal

from msgspec import Struct


class Ban(Struct, frozen=True, kw_only=True):
    """An address that is refused until a moment (epoch ms)."""

    until_ms: int
    reason: str = "manual"


class IpFilter(Struct, frozen=True, kw_only=True):
    """Which addresses may connect. Entries are addresses, networks, or beginnings that end in `*`.

    `temp_bans` are by address and hold whether or not the lists are switched on.
    """

    enabled: bool = False
    mode: Literal["blacklist", "whitelist"] = "blacklist"
    blacklist: tuple[str, ...] = ()
    whitelist: tuple[str, ...] = ()
    temp_bans: dict[str, Ban] = {}

    @property
    def is_idle(self) -> bool:
        """Whether it refuses nobody at all."""
        return not self.enabled and not self.temp_bans


class Lockout(Struct, frozen=True, kw_only=True):
    """Failed attempts of somebody (epoch ms, oldest first), and until when they are refused."""

    identifier: str
    attempts: tuple[int, ...] = ()
    locked_until_ms: int = 0


class AccessRules(Struct, frozen=True, kw_only=True):
    """What is stored about access beside settings and keys."""

    password_hash: str | None = None
    ip_filter: IpFilter = IpFilter()
