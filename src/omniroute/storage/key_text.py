"""The text of a gateway key, and the keyed hash it is found by (02-management-api §8.3)."""

import hashlib
import hmac
from collections.abc import Callable


def new_api_key(machine_id: str, secret: str, random: Callable[[int], bytes]) -> str:
    """A fresh key: `sk-<machine id>-<32 hex>-<8 hex check>`.

    Args:
        secret: the API key secret; without it nobody can make up a matching check.
        random: returns that many random bytes, `secrets.token_bytes` outside of tests.
    """
    key_id = random(16).hex()
    check = hashlib.pbkdf2_hmac(
        "sha256", (machine_id + key_id).encode(), secret.encode(), 1000, dklen=32
    )
    return f"sk-{machine_id}-{key_id}-{check.hex()[:8]}"


def key_hash(secret: str, text: str) -> str:
    """HMAC-SHA256 of a key's text as 64 hex digits: what is stored and looked up.

    One fast round is enough: the text carries 128 random bits, so there is nothing to guess.
    """
    # A client may send any header bytes; they must give a hash that matches nothing.
    return hmac.digest(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()
