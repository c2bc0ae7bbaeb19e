"""What requests and answers said, where an operator has that kept."""

from msgspec import Struct


class Payload(Struct, frozen=True, kw_only=True):
    """The bodies of one call, as its client sent and got them; `cut` says that they were longer
    than what is kept. None where there was none."""

    id: str
    timestamp_ms: int
    request: bytes | None = None
    response: bytes | None = None
    cut: bool = False
