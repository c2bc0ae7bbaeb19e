"""The sessions of browsers: a signed cookie that a change of the password ends. 02 §2.2."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

COOKIE = "auth_token"
LIFETIME_S = 30 * 86_400
RENEWED_BELOW_S = 7 * 86_400
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class BrowserSessions:
    """Makes and reads session cookies.

    `secret` is asked each time: a new one ends all sessions. `secure` says that cookies are for
    HTTPS only, whatever the request looks like.
    """

    secret: Callable[[], str]
    now_ms: Callable[[], int]
    secure: bool = False

    def issue(self, password_hash: str) -> str:
        """The value of the cookie of somebody who has just shown the password."""
        claims = {
            "authenticated": True,
            "pv": password_version(password_hash),
            "exp": self.now_ms() // 1000 + LIFETIME_S,
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(self.secret()))

    def left_s(self, headers: Mapping[str, str], password_hash: str | None) -> int:
        """Seconds the session of a request is still good for; 0 where it has none that counts."""
        value = cookie_of(headers)
        if value is None or password_hash is None:
            return 0
        try:
            key = OctKey.import_key(self.secret())
            claims: dict[str, Any] = jwt.decode(value, key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            return 0
        expires = claims.get("exp")
        if not isinstance(expires, int) or claims.get("authenticated") is not True:
            return 0
        if claims.get("pv") != password_version(password_hash):
            return 0
        return max(expires - self.now_ms() // 1000, 0)

    def header(self, value: str, headers: Mapping[str, str], scheme: str) -> str:
        """`Set-Cookie` with a session; an empty value ends it."""
        forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
        parts = [f"{COOKIE}={value}", "HttpOnly", "SameSite=Lax", "Path=/"]
        if not value:
            parts.append("Max-Age=0")
        if self.secure or scheme == "https" or forwarded == "https":
            parts.append("Secure")
        return "; ".join(parts)


def password_version(password_hash: str) -> str:
    """What sessions are bound to: another password, another version."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """The session cookie of a request."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return None
    found = jar.get(COOKIE)
    return found.value or None if found is not None else None
