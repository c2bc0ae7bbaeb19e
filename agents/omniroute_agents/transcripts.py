"""The conversation of an agent that waits for an answer, as a text its caller keeps for it.

It is signed and bound to the agent and its caller: nobody can put words or tool calls into it.
"""

import base64
import binascii
import hmac
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from omniroute.chat import Message
from omniroute.errors import ValidationFailed

MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Transcripts:
    """Seals and opens conversations with one key."""

    key: bytes

    def sealed(self, turns: Sequence[Message], bound: str) -> str:
        """The text for the turns of a conversation."""
        packed = zlib.compress(msgspec.msgpack.encode(tuple(turns)))
        return base64.urlsafe_b64encode(self._mark(packed, bound) + packed).decode()

    def opened(self, text: str, bound: str) -> list[Message]:
        """The turns behind a text.

        Raises:
            ValidationFailed: it is none of ours, or was made for another agent or caller.
        """
        try:
            raw = base64.urlsafe_b64decode(text.encode())
        except (binascii.Error, ValueError) as error:
            raise _refused() from error
        mark, packed = raw[:32], raw[32:]
        if not hmac.compare_digest(mark, self._mark(packed, bound)):
            raise _refused()
        turns = zlib.decompressobj().decompress(packed, MOST_BYTES)
        return list(msgspec.msgpack.decode(turns, type=tuple[Message, ...]))

    def _mark(self, packed: bytes, bound: str) -> bytes:
        return hmac.digest(self.key, bound.encode() + b"\0" + packed, "sha256")


def _refused() -> ValidationFailed:
    return ValidationFailed([("resume", "is not a conversation this agent gave; ask it again")])
