"""Reply ids: the upstream's own id under the prefix a client of the dialect expects."""

from hashlib import sha256

_PREFIXES = ("chatcmpl-", "cmpl-", "msg_", "resp_")


def reply_id(upstream_id: str, prefix: str) -> str:
    """`upstream_id` with `prefix` in place of another dialect's.

    An id is never made up here, for codecs hold no random source: who has one fills
    `Started.id`. Without an id the reply is named after the gateway.
    """
    for known in _PREFIXES:
        upstream_id = upstream_id.removeprefix(known)
    return prefix + (upstream_id or "omniroute")


def call_id(reply: str, index: int, name: str) -> str:
    """An id for a call that came without one: the same whenever the same reply is read.

    `reply` is what tells this reply from others: two conversations must not share ids, for what
    was thought before a call is remembered by them.
    """
    return f"call_{sha256(f'{reply}:{index}:{name}'.encode()).hexdigest()[:24]}"
