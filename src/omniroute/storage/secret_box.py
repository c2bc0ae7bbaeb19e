"""Encryption of single values at rest, each bound to the row and column it belongs to."""

import hashlib
import logging
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

log = logging.getLogger(__name__)

_PREFIX = "enc:v2:"
_NONCE_BYTES = 12
SEALED = re.compile(rf"{_PREFIX}([0-9a-f]{{8}}):")
"""Finds sealed values in any text; the group is the id of the key."""
_RAW_KEY = re.compile(r"[0-9a-fA-F]{64}")

# What clients and models have said may look like anything; secrets of ours are not kept there.
NO_SECRETS = frozenset(
    {
        "usage_history",
        "usage_rollups",
        "call_logs",
        "routing_decisions",
        "mcp_tool_audit",
        "mcp_tasks",
        "a2a_tasks",
        "a2a_task_events",
        "a2a_push_deliveries",
        "stored_responses",
        "response_cache",
        "context_handoffs",
        "quota_snapshots",
        "conversation_pins",
        "proxy_logs",
        "memories",
        "skill_executions",
        "compression_analytics",
    }
)


def derive_key(text: str) -> bytes:
    """The 32-byte AES key a configured key text stands for.

    64 hex digits are the key itself; anything else is a passphrase and is stretched, which
    takes some 50 ms (scrypt parameters: 02-management-api §30).
    """
    if _RAW_KEY.fullmatch(text):
        return bytes.fromhex(text)
    salt = b"omniroute-field-encryption-v1"
    return hashlib.scrypt(text.encode(), salt=salt, n=16384, r=8, p=1, dklen=32)


class Keys(Struct, frozen=True):
    """The keys of a moment, 32 bytes each: one seals and opens, the others only open."""

    current: bytes
    older: Sequence[bytes] = ()


class SecretBox:
    """AES-256-GCM under one current key; older keys still open what they sealed.

    Stored text: `enc:v2:<key id>:<base64 of nonce and ciphertext>`. `where` names the place,
    `table:id:column`; ciphertext copied to another place does not open there.

    Args:
        key: 32 bytes, seals and opens.
        previous: keys that only open, for the time after a rotation.
        changed: the keys there are now, if another process has changed them since it was last
            asked; it is asked before something is sealed, and when a value names an unknown key.
    """

    def __init__(
        self,
        key: bytes,
        previous: Sequence[bytes] = (),
        changed: Callable[[], Keys | None] = lambda: None,
    ) -> None:
        self._changed = changed
        self._take(Keys(key, previous))

    def _take(self, keys: Keys) -> None:
        self._key_id = key_id(keys.current)
        self._ciphers = {key_id(each): AESGCM(each) for each in (*keys.older, keys.current)}

    def renew(self) -> None:
        """Take over the keys of another process that has rotated them. Costs one look at a
        directory where nothing has changed."""
        keys = self._changed()
        if keys is not None:
            self._take(keys)

    @property
    def key_id(self) -> str:
        """The id of the key that seals."""
        return self._key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys that open something here."""
        return frozenset(self._ciphers)

    def open_reference(self, stored: str) -> str | None:
        """Decrypt what the reference product sealed (`enc:v1:<iv>:<ciphertext>:<tag>`, hex).

        Its values are bound to no place. None where no key of ours opens it.
        """
        try:
            nonce, sealed, tag = map(bytes.fromhex, stored.removeprefix("enc:v1:").split(":"))
        except ValueError:
            return None
        for cipher in self._ciphers.values():
            try:
                return cipher.decrypt(nonce, sealed + tag, None).decode()
            except (InvalidTag, ValueError):
                continue
        return None

    def seal(self, text: str, where: str) -> str:
        """Encrypt `text` for the place `where`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._key_id].encrypt(nonce, text.encode(), where.encode())
        return f"{_PREFIX}{self._key_id}:{b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, where: str) -> str | None:
        """Decrypt what `seal` made for the same place; None, and a log line, if that fails."""
        try:
            named, _, encoded = stored.removeprefix(_PREFIX).partition(":")
            if stored.startswith(_PREFIX) and named not in self._ciphers:
                self.renew()
            if not stored.startswith(_PREFIX) or named not in self._ciphers:
                log.warning("the encryption key of a stored secret is not known: %s", where)
                return None
            raw = b64decode(encoded, validate=True)
            opened = self._ciphers[named].decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], where.encode()
            )
            return opened.decode()
        except (InvalidTag, ValueError):
            log.warning("a stored secret is damaged or was moved: %s", where)
            return None


def key_id(key: bytes) -> str:
    """What values name the key by that sealed them; tells nothing about the key."""
    return hashlib.sha256(b"omniroute-key-id" + key).hexdigest()[:8]
