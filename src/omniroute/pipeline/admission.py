"""One admission for every door: who is asking, and does their key still count?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omniroute.caller import ENV_KEY_ID, Caller, Door
from omniroute.clock import from_iso
from omniroute.errors import Forbidden, Unauthenticated
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records import ApiKey

OPERATOR_SCOPES = frozenset({"manage", "admin", "*"})


@dataclass(frozen=True, slots=True)
class Admission:
    """Turns a presented key into a caller.

    `hash_key` is the keyed hash under which keys are stored, so a look-up is one dict access.
    `env_key` is the key from the environment, valid without a record. `require_key` refuses
    anonymous callers on the model APIs.
    """

    hash_key: Callable[[str], str]
    now_ms: Callable[[], int]
    env_key: str | None
    require_key: bool

    def caller(self, snapshot: Snapshot, door: Door, key: str | None) -> Caller:
        """The author of a request. An unknown key counts as no key.

        Raises:
            Unauthenticated: a key is required and none that exists was presented.
            Forbidden: the key exists and is switched off, banned or expired.
        """
        known = self._known(snapshot, door, key) if key else None
        if known is not None:
            return known
        if self.require_key:
            raise Unauthenticated(
                "An API key is required. Send it as 'Authorization: Bearer <key>'; "
                "create one with POST /api/keys.",
                code="AUTH_002",
            )
        return Caller(door=door)

    def keyed_caller(self, snapshot: Snapshot, door: Door, key: str | None) -> Caller:
        """The author of a request to a door where only a valid key will do.

        Raises:
            Unauthenticated: no key, or one that does not exist.
            Forbidden: as for `caller`.
        """
        known = self._known(snapshot, door, key) if key else None
        if known is None:
            raise Unauthenticated(
                "A valid API key is required. Send it as 'Authorization: Bearer <key>'.",
                code="AUTH_002",
            )
        return known

    def _known(self, snapshot: Snapshot, door: Door, key: str) -> Caller | None:
        digest = self.hash_key(key)
        if self.env_key is not None and digest == self.hash_key(self.env_key):
            return _env_caller(door)
        record = snapshot.keys.get(digest)
        return None if record is None else self._recorded(record, door)

    def owner(self, snapshot: Snapshot, door: Door, owner: str) -> Caller:
        """The caller whose records carry this name, for work that goes on without them.

        Raises:
            Unauthenticated: the key is gone, or anonymous callers are no longer let in.
            Forbidden: as for `caller`.
        """
        if owner == Caller(door=door).owner:
            return self.caller(snapshot, door, None)
        if owner == ENV_KEY_ID and self.env_key is not None:
            return _env_caller(door)
        for record in snapshot.keys.values():
            if record.id == owner:
                return self._recorded(record, door)
        raise Unauthenticated("The API key this was asked with does not exist any more.")

    def _recorded(self, record: ApiKey, door: Door) -> Caller:
        self._require_usable(record)
        scopes = frozenset(record.scopes)
        return Caller(
            door=door,
            key_id=record.id,
            key_name=record.name,
            scopes=scopes,
            is_operator=bool(scopes & OPERATOR_SCOPES),
            allowed_models=record.allowed_models,
            allowed_connections=record.allowed_connections,
        )

    def _require_usable(self, key: ApiKey) -> None:
        if not key.is_active:
            raise Forbidden("This API key is switched off.")
        if key.is_banned:
            raise Forbidden("This API key is banned.")
        if key.revoked_at is not None:
            raise Forbidden("This API key is revoked.")
        if key.expires_at is not None and from_iso(key.expires_at) < self.now_ms():
            raise Forbidden("This API key has expired.")


def _env_caller(door: Door) -> Caller:
    return Caller(
        door=door,
        key_id=ENV_KEY_ID,
        key_name="environment key",
        scopes=frozenset({"*"}),
        is_operator=True,
    )


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key of an `Authorization: Bearer` header; None when absent or empty. 01 §2.2.1."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
