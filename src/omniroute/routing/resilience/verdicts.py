"""The failure table: every way an attempt can fail, and what follows from it.

One table for classification, account state, breaker and fallback; first match wins.
Sources: 05 §1.9, §4.2-4.4, and the overrules of the design's section 9.
"""

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

from omniroute.routing.resilience.profiles import Category, FailureKind
from omniroute.routing.resilience.tool_limits import tool_limit_in

Cause: TypeAlias = Literal[
    "status",  # the upstream answered an HTTP error
    "connect",
    "timeout",
    "broken",
    "refused",
    "too_large",
    "invalid",
    "malformed",  # not the dialect it should be
    "stream_error",  # an error inside a stream, before or after its first content
    "stream_timeout",  # no useful event in time
    "early_eof",  # the stream ended before its first content
    "cut",  # the stream ended after content, without its terminal marker
    "empty",  # a reply without any content
    "unsupported",  # our encoder cannot say the request in the target's dialect
    "capacity",  # every slot of the account is taken, and so is the queue for them
    "deadline",  # the time the caller gave is over
    "slow",  # it took longer than its combo gives one attempt
    "proxy_connect",  # there is no talking to the proxy
    "proxy_auth",  # the proxy wants other credentials
    "proxy_refused",  # the proxy will not connect
    "proxy_off",  # the configured proxy may not be used
    "login_ended",  # somebody has to sign in to the account again
    "login_failed",  # the account's token could not be renewed for now
]

Action: TypeAlias = Literal["retry", "next-account", "next-target", "answer"]
Blame: TypeAlias = Literal["client", "gateway", "proxy", "connection", "model", "provider"]


class Failure(Struct, frozen=True, kw_only=True):
    """What went wrong with one attempt. `text` is the upstream's own message, cleaned."""

    cause: Cause
    status: int
    text: str = ""
    error_type: str | None = None
    code: str | None = None
    retry_after_ms: int | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What follows: where to go next, who is to blame, and for how long to stay away.

    `retry` means the same account once more at once, then the next one. `cooldown` applies to
    the blamed connection or model: milliseconds, `backoff` for the growing default, None for no
    pause, `base` for the same default every time, `midnight` for the end of the day (UTC). An
    upstream's retry hint replaces `backoff` for accounts whose hints are trusted, and any pause
    where `takes_hint` is set. `terminal` is the state of an account that only an operator or a
    new credential ends.
    """

    reason: str
    action: Action
    blame: Blame
    cooldown: int | Literal["backoff", "base", "midnight"] | None = None
    terminal: Literal["expired", "banned", "credits_exhausted"] | None = None
    trips_breaker: bool = False
    takes_hint: bool = False


FOREIGN_STATE = "foreign_state"
"""The request carries thinking that another provider signed: it goes again without."""

TOO_MANY_TOOLS = "too_many_tools"
"""The provider named how many tools it takes: the request goes again with no more."""

Matcher: TypeAlias = Callable[[Failure, Category], bool]


def _status(*codes: int, text: str | None = None, of: tuple[Category, ...] = ()) -> Matcher:
    """An HTTP error with one of `codes`, at accounts that sign in as `of` says (or anyhow)."""
    pattern = re.compile(text, re.IGNORECASE) if text else None

    def matches(failure: Failure, category: Category) -> bool:
        return (
            failure.cause in ("status", "stream_error")
            and failure.status in codes
            and (not of or category in of)
            and (pattern is None or bool(pattern.search(_words(failure))))
        )

    return matches


def _quota_text(text: str) -> Matcher:
    """Words about money and quotas. With API keys a 429 is a rate limit whatever it says."""
    any_status = _status(400, 402, 403, 429, text=text)

    def matches(failure: Failure, category: Category) -> bool:
        return any_status(failure, category) and (failure.status != 429 or category == "oauth")

    return matches


def _cause(*causes: Cause) -> Matcher:
    return lambda failure, _category: failure.cause in causes


def _words(failure: Failure) -> str:
    return f"{failure.code or ''} {failure.error_type or ''} {failure.text[:4096]}"


_DEACTIVATED = (
    r"account[^.]{0,40}(deactivated|suspended|disabled)|verify your account to continue"
    r"|service (has been )?disabled"
)
_CREDITS = (
    r"insufficient_quota|billing_hard_limit|credit_balance_too_low|exceeded your current quota"
    r"|(credit )?balance is too low|low balance|out of credits|no credits|payment required"
)
_DAILY = r"today'?s quota|daily (request |token |usage )?(quota|limit)|try again tomorrow"
_QUOTA = (
    r"quota[_ ](exceeded|exhausted|depleted)|quota (has been|was|is) (exceeded|exhausted|depleted)"
    r"|exceeded[^.]{0,30}quota|quota[^.]{0,40}will reset|\bhour(ly)? (quota|limit)"
    r"|(usage|monthly|weekly|plan|spend(ing)?|billing)[_ ](limit|cap|quota)"
)
_EVERY_QUOTA = f"{_CREDITS}|{_DAILY}|{_QUOTA}"
_WRONG_PROJECT = r"has not been used in project"
_NO_CREDENTIALS = r"no (valid )?credentials"
_NOT_ALLOWED = r"request (is )?not allowed"
_ILL_FORMED = r"improperly formed request"
_RATE = r"rate[_ -]?limit|too many requests|throttl"
_CAPACITY = r"\b(over|at|no|insufficient|out of) capacity|overloaded|capacity (exceeded|exhausted)"
_STALE_SIGN_IN = r"invalid[_ ](access[_ ])?(token|grant)|token (has |is )?(expired|invalid|revoked)"
_OVERFLOW = (
    r"context_length_exceeded|(maximum|max) context|context (window|length)[^.]{0,60}(exceed|limit)"
    r"|(prompt|input|request) (is )?too (long|large)|too many tokens|exceeds? [^.]{0,40}token limit"
)
_UNKNOWN_MODEL = (
    r"model_not_found|model[^.]{0,80}(does not exist|not found|not supported|is not available"
    r"|no longer available|unknown|invalid model)|unknown model|no such model|invalid model"
)
_UNSUPPORTED = (
    r"unsupported_(parameter|value)|unsupported (parameter|value|content|media|modality)"
    r"|does not support|not supported|unknown parameter|unrecognized (request )?argument"
    r"|extra inputs are not permitted|tool_use is not"
)
_FOREIGN_STATE = (
    r"invalid .{0,3}signature.{0,3} in .{0,3}thinking"
    r"|thought.?signature[^.]{0,20}(not valid|invalid)"
    r"|(corrupted|invalid) thought.?signature|invalid_encrypted_content"
    r"|encrypted content[^.]{0,80}could not be (verified|decrypted)"
)
_POLICY = r"content[_ ]policy|content_filter|content management policy|safety|moderation"

TABLE: tuple[tuple[Matcher, Verdict], ...] = (
    (
        _status(400, 401, 402, 403, 404, 429, text=_DEACTIVATED),
        Verdict(
            reason="account_deactivated",
            action="next-account",
            blame="connection",
            terminal="banned",
        ),
    ),
    (
        _quota_text(_CREDITS),
        Verdict(
            reason="credits_exhausted",
            action="next-account",
            blame="connection",
            terminal="credits_exhausted",
        ),
    ),
    (
        _status(402),
        Verdict(
            reason="credits_exhausted",
            action="next-account",
            blame="connection",
            terminal="credits_exhausted",
        ),
    ),
    (
        _quota_text(_DAILY),
        Verdict(
            reason="daily_quota_exhausted",
            action="next-account",
            blame="connection",
            cooldown="midnight",
        ),
    ),
    (
        _quota_text(_QUOTA),
        Verdict(
            reason="quota_exhausted",
            action="next-account",
            blame="connection",
            cooldown=3_600_000,
            takes_hint=True,
        ),
    ),
    # A refresh can cure it, so nothing is held against the account.
    (
        _status(401, text=_STALE_SIGN_IN, of=("oauth",)),
        Verdict(reason="oauth_invalid_token", action="next-account", blame="connection"),
    ),
    (
        _status(401),
        Verdict(
            reason="unauthorized",
            action="next-account",
            blame="connection",
            terminal="expired",
        ),
    ),
    (
        _status(400, 403, 404, text=_UNKNOWN_MODEL),
        Verdict(reason="unknown_model", action="next-target", blame="model", cooldown=120_000),
    ),
    (
        _status(403, text=_WRONG_PROJECT),
        Verdict(reason="project_route_error", action="next-account", blame="connection"),
    ),
    (
        _status(400, 403, text=_NO_CREDENTIALS),
        Verdict(
            reason="no_credentials",
            action="next-account",
            blame="connection",
            cooldown=120_000,
        ),
    ),
    (
        _status(400, 403, text=_NOT_ALLOWED),
        Verdict(reason="not_allowed", action="next-account", blame="connection", cooldown=5_000),
    ),
    (
        _status(403, of=("oauth",)),
        Verdict(reason="forbidden", action="next-account", blame="connection", terminal="banned"),
    ),
    (
        _status(403),
        Verdict(reason="forbidden", action="next-account", blame="connection", cooldown="backoff"),
    ),
    (
        _status(404),
        Verdict(reason="not_found", action="next-target", blame="model", cooldown=120_000),
    ),
    (
        _status(429, text=_EVERY_QUOTA),
        Verdict(
            reason="quota_exhausted",
            action="next-account",
            blame="connection",
            cooldown="backoff",
        ),
    ),
    (
        _status(429, text=_CAPACITY, of=("oauth",)),
        Verdict(
            reason="model_capacity",
            action="next-account",
            blame="connection",
            cooldown="backoff",
        ),
    ),
    (
        _status(429),
        Verdict(
            reason="rate_limited",
            action="next-account",
            blame="connection",
            cooldown="backoff",
        ),
    ),
    (
        _status(400, 422, text=_FOREIGN_STATE),
        Verdict(reason=FOREIGN_STATE, action="retry", blame="client"),
    ),
    (
        lambda failure, category: (
            _status(400, 413, 422)(failure, category) and tool_limit_in(failure.text) is not None
        ),
        Verdict(reason=TOO_MANY_TOOLS, action="retry", blame="client"),
    ),
    (
        _status(400, 413, 422, text=_OVERFLOW),
        Verdict(reason="context_overflow", action="next-target", blame="client"),
    ),
    (
        _status(400, 422, text=_UNSUPPORTED),
        Verdict(reason="unsupported_parameter", action="next-target", blame="client"),
    ),
    (
        _status(400, 422, text=_POLICY),
        Verdict(reason="content_policy", action="next-target", blame="client"),
    ),
    (
        _status(400, text=_RATE),
        Verdict(
            reason="rate_limited", action="next-account", blame="connection", cooldown="backoff"
        ),
    ),
    (
        _status(400, text=_CAPACITY),
        Verdict(
            reason="model_capacity", action="next-account", blame="connection", cooldown="backoff"
        ),
    ),
    # Some services say so when a part of them is down, to requests that are in order.
    (
        _status(400, text=_ILL_FORMED),
        Verdict(reason="model_capacity", action="next-account", blame="connection"),
    ),
    (
        _status(400, 413, 422),
        Verdict(reason="invalid_request", action="answer", blame="client"),
    ),
    (
        _status(406),
        Verdict(
            reason="not_acceptable", action="next-account", blame="connection", cooldown="backoff"
        ),
    ),
    (
        _status(408, 500, 502, 503, 504),
        Verdict(
            reason="server_error",
            action="next-account",
            blame="provider",
            cooldown="backoff",
            trips_breaker=True,
        ),
    ),
    (
        _status(529),
        Verdict(
            reason="overloaded",
            action="next-account",
            blame="connection",
            cooldown="backoff",
        ),
    ),
    # A pooled connection that the peer had already closed looks like this; a fresh one decides.
    (
        _cause("broken"),
        Verdict(
            reason="unreachable",
            action="retry",
            blame="provider",
            cooldown="backoff",
            trips_breaker=True,
        ),
    ),
    (
        _cause("connect", "timeout"),
        Verdict(
            reason="unreachable",
            action="next-account",
            blame="provider",
            cooldown="backoff",
            trips_breaker=True,
        ),
    ),
    # Says nothing about account or provider; another account may have another proxy.
    (
        _cause("proxy_connect"),
        Verdict(reason="proxy_unreachable", action="next-account", blame="proxy"),
    ),
    (
        _cause("proxy_auth"),
        Verdict(reason="proxy_auth_failed", action="next-account", blame="proxy"),
    ),
    (
        _cause("proxy_refused"),
        Verdict(reason="proxy_refused", action="next-account", blame="proxy"),
    ),
    (
        _cause("proxy_off"),
        Verdict(reason="proxy_unusable", action="next-account", blame="proxy"),
    ),
    # The provider itself may be well: who gives tokens is another server.
    (
        _cause("login_ended"),
        Verdict(
            reason="sign_in_needed",
            action="next-account",
            blame="connection",
            terminal="expired",
        ),
    ),
    (
        _cause("login_failed"),
        Verdict(
            reason="token_refresh_failed",
            action="next-account",
            blame="connection",
            cooldown=30_000,
            takes_hint=True,
        ),
    ),
    (
        _cause("refused"),
        Verdict(reason="address_refused", action="next-account", blame="gateway"),
    ),
    (
        _cause("invalid"),
        Verdict(reason="invalid_address", action="next-account", blame="connection"),
    ),
    # Neither marks an account nor trips a breaker (05 §4.10): a slow or empty stream is
    # often the prompt's fault.
    (
        _cause("stream_timeout"),
        Verdict(reason="stream_timeout", action="next-target", blame="gateway"),
    ),
    (
        _cause("slow"),
        Verdict(reason="attempt_timeout", action="next-target", blame="gateway"),
    ),
    (
        _cause("early_eof"),
        Verdict(reason="stream_early_eof", action="next-target", blame="gateway"),
    ),
    (
        _cause("empty"),
        Verdict(reason="empty_content", action="next-target", blame="model"),
    ),
    (
        _cause("unsupported"),
        Verdict(reason="unsupported_by_dialect", action="next-target", blame="client"),
    ),
    # Only this gateway's own limits: another account may have room, and nobody is at fault.
    (
        _cause("capacity"),
        Verdict(reason="account_busy", action="next-account", blame="gateway"),
    ),
    (
        _cause("deadline"),
        Verdict(reason="deadline", action="answer", blame="client"),
    ),
    (
        _cause("malformed", "too_large"),
        Verdict(
            reason="malformed_reply",
            action="next-target",
            blame="provider",
            trips_breaker=True,
        ),
    ),
    (
        _cause("cut"),
        Verdict(reason="stream_cut", action="answer", blame="provider", trips_breaker=True),
    ),
    (
        lambda failure, _category: failure.status >= 500,
        Verdict(
            reason="server_error",
            action="next-account",
            blame="provider",
            cooldown="backoff",
        ),
    ),
)

OTHERWISE = Verdict(
    reason="unexpected_status", action="next-account", blame="connection", cooldown="base"
)
"""For what the table does not know, such as a redirect."""


OUT_OF_QUOTA = frozenset({"quota_exhausted", "daily_quota_exhausted", "credits_exhausted"})
"""Reasons that say an account has nothing left for a while."""

CLIENT_GONE = Verdict(reason="client_gone", action="answer", blame="client")
"""For an attempt nobody waited for; it says nothing about its target."""

HEDGED = Verdict(reason="hedged", action="answer", blame="client")
"""For an attempt that another target overtook; it says nothing about its target."""


def classify(failure: Failure, category: Category = "apikey") -> Verdict:
    """The verdict on a failure at an account that signs in as `category` says."""
    rows = (verdict for matches, verdict in TABLE if matches(failure, category))
    return next(rows, OTHERWISE)


_KINDS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(_EVERY_QUOTA + r"|hard limit", re.IGNORECASE), "quota_exhausted"),
    (re.compile(_RATE, re.IGNORECASE), "rate_limit"),
)


def failure_kind(failure: Failure) -> FailureKind:
    """What a breaker remembers a failure as.

    A 429 never counts towards a breaker; but some services throttle with a 503 that says so.
    """
    words = _words(failure)
    told: FailureKind = "rate_limit" if failure.status == 429 else "transient"
    return next((kind for pattern, kind in _KINDS if pattern.search(words)), told)


_INFORMATIVE: dict[str, int] = {
    "unauthorized": 0,
    "forbidden": 0,
    "account_deactivated": 0,
    "sign_in_needed": 0,
    "credits_exhausted": 1,
    "quota_exhausted": 1,
    "daily_quota_exhausted": 1,
    "account_busy": 3,
    "rate_limited": 3,
    "not_found": 4,
    "unknown_model": 4,
    "unsupported_by_dialect": 4,
    "unsupported_parameter": 5,
    "content_policy": 5,
    "context_overflow": 5,
    "invalid_request": 6,
    "deadline": 7,
}
_UNAVAILABLE = 2


def informativeness(verdict: Verdict) -> int:
    """How much a failure tells its reader; the highest of all attempts is shown (05 §13.4)."""
    return _INFORMATIVE.get(verdict.reason, _UNAVAILABLE)
