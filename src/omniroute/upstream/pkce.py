"""PKCE and `state`: what binds a sign-in to whoever began it. RFC 7636."""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def new_verifier() -> str:
    """A code verifier of 64 characters, from 48 random bytes."""
    return secrets.token_urlsafe(48)


def new_state() -> str:
    """A `state` of 256 random bits."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def is_verifier(text: str) -> bool:
    """Whether a text has the form of a verifier."""
    return _VERIFIER.fullmatch(text) is not None
