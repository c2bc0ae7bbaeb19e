"""What the audit log says: who changed or tried what, from where, and with what outcome."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

AuditStatus: TypeAlias = Literal["success", "failure", "blocked"]

HIDDEN = "[redacted]"
_SECRET_NAMES = frozenset(
    (
        *("apikey", "accesstoken", "refreshtoken", "idtoken", "authtoken", "jwttoken", "token"),
        *("secret", "password", "authorization", "cookie", "setcookie", "consoleapikey"),
        "clientsecret",
    )
)
_SECRET_ENDINGS = ("apikey", "apikeys", "token", "secret", "password")


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One thing that was done or tried. `action` is `noun.verb` (02 §14.2), `target` what it was
    done to, `details` what changed, `metadata` how the actor came in."""

    timestamp_ms: int
    action: str
    actor: str
    target: str | None = None
    details: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    ip_address: str | None = None
    resource_type: str
    status: AuditStatus = "success"
    request_id: str | None = None


class AuditRow(AuditEntry, frozen=True, kw_only=True):
    """An entry as it stands in the log."""

    id: int


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Which entries are wanted; texts are parts of the column, in any case. Times are epoch ms,
    both inclusive."""

    action: str | None = None
    actor: str | None = None
    target: str | None = None
    resource_type: str | None = None
    status: str | None = None
    request_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def is_secret_name(name: str) -> bool:
    """Whether something of this name is a credential."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def without_secrets(value: Any, name: str = "") -> Any:
    """The same value with everything that is named like a credential hidden."""
    if value is not None and is_secret_name(name):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): without_secrets(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return value
