"""One admission for every door: who is asking, and does their key count now and from there?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omniroute.caller import ENV_KEY_ID, Caller, Door, RateRule
from omniroute.errors import Unauthenticated
from omniroute.pipeline.callers.key_policy import require_usable, require_valid, rules_of
from omniroute.routing.snapshot import Snapshot
from omniroute.storage.records.configuration import ApiKey

OPERATOR_SCOPES = frozenset({"manage", "admin", "*"})


@dataclass(frozen=True, slots=True)
class Admission:
    """Turns a presented key into a caller.

    `hash_key` is the keyed hash under which keys are stored, so a look-up is one dict access.
    `env_key` is the key from the environment, valid without a record. `require_key` refuses
    anonymous callers on the model APIs. `default_rules` are those of keys without their own.
    `used` hears of every key that was presented and counts. Requests of keys in `unlogged` (ids)
    stay out of the call log, whatever their records say.
    """

    hash_key: Callable[[str], str]
    now_ms: Callable[[], int]
    env_key: str | None
    require_key: bool
    default_rules: tuple[RateRule, ...] = ()
    used: Callable[[str], None] = lambda _key_id: None
    unlogged: frozenset[str] = frozenset()

    def caller(
        self, snapshot: Snapshot, door: Door, key: str | None, address: str | None = None
    ) -> Caller:
        """The author of a request. An unknown key counts as no key.

        Args:
            address: where the request comes from; None when nobody knows.

        Raises:
            Unauthenticated: a key is required and none that exists was presented.
            Forbidden: the key exists and is switched off, banned or expired, or may not be used
                now or from there.
        """
        known = self._known(snapshot, door, key, address) if key else None
        if known is not None:
            return known
        if self.require_key:
            raise Unauthenticated(
                "An API key is required. Send it as 'Authorization: Bearer <key>'; "
                "create one with POST /api/keys.",
                code="AUTH_002",
            )
        return Caller(door=door)

    def keyed_caller(
        self, snapshot: Snapshot, door: Door, key: str | None, address: str | None = None
    ) -> Caller:
        """The author of a request to a door where only a valid key will do.

        Raises:
            Unauthenticated: no key, or one that does not exist.
            Forbidden: as for `caller`.
        """
        known = self._known(snapshot, door, key, address) if key else None
        if known is None:
            raise Unauthenticated(
                "A valid API key is required. Send it as 'Authorization: Bearer <key>'.",
                code="AUTH_002",
            )
        return known

    def _known(
        self, snapshot: Snapshot, door: Door, key: str, address: str | None
    ) -> Caller | None:
        digest = self.hash_key(key)
        if self.env_key is not None and digest == self.hash_key(self.env_key):
            return _env_caller(door)
        record = snapshot.keys.get(digest)
        if record is None or not self._counts(record, digest):
            return None
        require_usable(record, self.now_ms(), address)
        self.used(record.id)
        return self._recorded(record, door)

    def _counts(self, record: ApiKey, digest: str) -> bool:
        """Whether a text of a key still counts: that before a rotation does for a while."""
        if digest == record.key_hash:
            return True
        return record.previous_until_ms is not None and self.now_ms() < record.previous_until_ms

    def owner(self, snapshot: Snapshot, door: Door, owner: str) -> Caller:
        """The caller whose records carry this name, for work that goes on without them.

        Its hours and addresses were looked at when the work was asked for.

        Raises:
            Unauthenticated: the key is gone, or anonymous callers are no longer let in.
            Forbidden: the key is switched off, banned or expired.
        """
        if owner == Caller(door=door).owner:
            return self.caller(snapshot, door, None)
        if owner == ENV_KEY_ID and self.env_key is not None:
            return _env_caller(door)
        for record in snapshot.keys.values():
            if record.id == owner:
                require_valid(record, self.now_ms())
                return self._recorded(record, door)
        raise Unauthenticated("The API key this was asked with does not exist any more.")

    def _recorded(self, record: ApiKey, door: Door) -> Caller:
        scopes = frozenset(record.scopes)
        return Caller(
            door=door,
            key_id=record.id,
            key_name=record.name,
            scopes=scopes,
            is_operator=bool(scopes & OPERATOR_SCOPES),
            allowed_models=record.allowed_models,
            allowed_connections=record.allowed_connections,
            rate_rules=rules_of(record, self.default_rules),
            max_sessions=record.max_sessions,
            auto_resolve=record.auto_resolve,
            no_log=record.no_log or record.id in self.unlogged,
            credential="key",
        )


def _env_caller(door: Door) -> Caller:
    return Caller(
        door=door,
        key_id=ENV_KEY_ID,
        key_name="environment key",
        scopes=frozenset({"*"}),
        is_operator=True,
        credential="key",
    )


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key of an `Authorization: Bearer` header; None when absent or empty. 01 §2.2.1."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


RUN_HEADER = "x-omniroute-run-id"
"""Where a client names the run its requests belong to."""
