"""The failure table: each row has an example, and nothing else decides."""

from typing import get_args

import pytest

from omniroute.routing.resilience.verdicts import (
    OTHERWISE,
    TABLE,
    Cause,
    Failure,
    classify,
    failure_kind,
    informativeness,
)


def status(number: int, text: str = "", code: str | None = None) -> Failure:
    return Failure(cause="status", status=number, text=text, code=code)


EXAMPLES = {
    "an account that is switched off": (
        status(403, "Your account has been deactivated"),
        "account_deactivated",
        "next-account",
    ),
    "no money left, by code": (
        status(403, "x", code="insufficient_quota"),
        "credits_exhausted",
        "next-account",
    ),
    "nothing left for today": (
        status(403, "You have used today's quota"),
        "daily_quota_exhausted",
        "next-account",
    ),
    "nothing left for this hour": (
        status(403, "hour quota reached"),
        "quota_exhausted",
        "next-account",
    ),
    "a project without the service": (
        status(403, "Cloud Code API has not been used in project 7 before"),
        "project_route_error",
        "next-account",
    ),
    "an account without credentials": (
        status(400, "No credentials for this workspace"),
        "no_credentials",
        "next-account",
    ),
    "a request that is not allowed there": (
        status(403, "Request not allowed"),
        "not_allowed",
        "next-account",
    ),
    "a quota behind a 429": (
        status(429, "You exceeded your current quota", code="insufficient_quota"),
        "quota_exhausted",
        "next-account",
    ),
    "a rate limit behind a 400": (
        status(400, "Too many requests"),
        "rate_limited",
        "next-account",
    ),
    "no capacity behind a 400": (
        status(400, "The model is overloaded"),
        "model_capacity",
        "next-account",
    ),
    "a service that blames the request": (
        status(400, "Improperly formed request."),
        "model_capacity",
        "next-account",
    ),
    "an answer it cannot give in JSON": (status(406), "not_acceptable", "next-account"),
    "no slot of the account is free": (
        Failure(cause="capacity", status=429),
        "account_busy",
        "next-account",
    ),
    "more tools than the provider takes": (
        status(400, "Invalid 'tools': array too long. Expected maximum length 128."),
        "too_many_tools",
        "retry",
    ),
    "longer than its combo waits": (
        Failure(cause="slow", status=504),
        "attempt_timeout",
        "next-target",
    ),
    "no time left": (Failure(cause="deadline", status=504), "deadline", "answer"),
    "no money left, by text": (
        status(400, "Your credit balance is too low to access the API"),
        "credits_exhausted",
        "next-account",
    ),
    "payment required": (status(402), "credits_exhausted", "next-account"),
    "a wrong key": (status(401, "Incorrect API key"), "unauthorized", "next-account"),
    "an unknown model, by code": (
        status(404, "x", code="model_not_found"),
        "unknown_model",
        "next-target",
    ),
    "an unknown model, by text": (
        status(400, "The model `gpt-9` does not exist"),
        "unknown_model",
        "next-target",
    ),
    "forbidden": (status(403), "forbidden", "next-account"),
    "not found": (status(404), "not_found", "next-target"),
    "a rate limit": (status(429, "slow down"), "rate_limited", "next-account"),
    "too much context, by code": (
        status(400, "x", code="context_length_exceeded"),
        "context_overflow",
        "next-target",
    ),
    "too much context, by text": (
        status(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        "context_overflow",
        "next-target",
    ),
    "thinking another provider signed": (
        status(400, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        "foreign_state",
        "retry",
    ),
    "a parameter it does not take": (
        status(400, "Unsupported parameter: 'temperature'"),
        "unsupported_parameter",
        "next-target",
    ),
    "its policy": (
        status(400, "Blocked by our content management policy"),
        "content_policy",
        "next-target",
    ),
    "a malformed request": (status(400, "messages: bad"), "invalid_request", "answer"),
    "max_tokens that is merely wrong": (
        status(400, "max_tokens is invalid"),
        "invalid_request",
        "answer",
    ),
    "a server error": (status(500), "server_error", "next-account"),
    "a gateway timeout": (status(504), "server_error", "next-account"),
    "overloaded": (status(529), "overloaded", "next-account"),
    "an error inside a stream": (
        Failure(cause="stream_error", status=500),
        "server_error",
        "next-account",
    ),
    "a connection cut before the answer": (
        Failure(cause="broken", status=502),
        "unreachable",
        "retry",
    ),
    "nobody there": (Failure(cause="connect", status=502), "unreachable", "next-account"),
    "no headers in time": (Failure(cause="timeout", status=504), "unreachable", "next-account"),
    "no talking to the proxy": (
        Failure(cause="proxy_connect", status=503),
        "proxy_unreachable",
        "next-account",
    ),
    "other credentials for the proxy": (
        Failure(cause="proxy_auth", status=502),
        "proxy_auth_failed",
        "next-account",
    ),
    "a proxy that will not": (
        Failure(cause="proxy_refused", status=502),
        "proxy_refused",
        "next-account",
    ),
    "a proxy that may not be used": (
        Failure(cause="proxy_off", status=502),
        "proxy_unusable",
        "next-account",
    ),
    "a sign-in that has ended": (
        Failure(cause="login_ended", status=401),
        "sign_in_needed",
        "next-account",
    ),
    "a token that cannot be renewed for now": (
        Failure(cause="login_failed", status=503),
        "token_refresh_failed",
        "next-account",
    ),
    "an address we do not call": (
        Failure(cause="refused", status=502),
        "address_refused",
        "next-account",
    ),
    "an address that is none": (
        Failure(cause="invalid", status=502),
        "invalid_address",
        "next-account",
    ),
    "nothing useful in time": (
        Failure(cause="stream_timeout", status=504),
        "stream_timeout",
        "next-target",
    ),
    "an end before the start": (
        Failure(cause="early_eof", status=502),
        "stream_early_eof",
        "next-target",
    ),
    "nothing said": (Failure(cause="empty", status=502), "empty_content", "next-target"),
    "a request its dialect cannot say": (
        Failure(cause="unsupported", status=400),
        "unsupported_by_dialect",
        "next-target",
    ),
    "more than fits": (Failure(cause="too_large", status=502), "malformed_reply", "next-target"),
    "not its dialect": (Failure(cause="malformed", status=502), "malformed_reply", "next-target"),
    "cut after content": (Failure(cause="cut", status=502), "stream_cut", "answer"),
    "another server error": (status(599), "server_error", "next-account"),
}


SIGNED_IN = {
    "forbidden is a ban": (status(403), "forbidden", "banned"),
    "a token that ran out is refreshed": (
        status(401, "token has expired"),
        "oauth_invalid_token",
        None,
    ),
    "a 429 may mean that the money is gone": (
        status(429, "x", code="insufficient_quota"),
        "credits_exhausted",
        "credits_exhausted",
    ),
    "a 429 may last the day": (
        status(429, "daily limit; try again tomorrow"),
        "daily_quota_exhausted",
        None,
    ),
    "a 429 may last the hour": (
        status(429, "Your usage limit was reached"),
        "quota_exhausted",
        None,
    ),
    "a 429 may be about the model": (status(429, "Overloaded"), "model_capacity", None),
    "a 429 that says nothing else is a rate limit": (status(429), "rate_limited", None),
}


@pytest.mark.parametrize(("failure", "reason", "terminal"), SIGNED_IN.values(), ids=SIGNED_IN)
def test_an_account_that_signs_in_fails_in_its_own_ways(
    failure: Failure, reason: str, terminal: str | None
) -> None:
    verdict = classify(failure, "oauth")
    assert (verdict.reason, verdict.terminal) == (reason, terminal)
    with_key = classify(failure, "apikey")
    assert verdict is not with_key or reason == "rate_limited"


KINDS = {
    "a plain 429": (status(429), "rate_limit"),
    "a 429 about a quota": (status(429, "monthly limit reached"), "quota_exhausted"),
    "a 503 that throttles": (status(503, "x", code="ThrottlingException"), "rate_limit"),
    "a 503": (status(503), "transient"),
    "nobody there": (Failure(cause="connect", status=502), "transient"),
}


@pytest.mark.parametrize(("failure", "kind"), KINDS.values(), ids=KINDS)
def test_a_failure_is_of_a_kind(failure: Failure, kind: str) -> None:
    assert failure_kind(failure) == kind


@pytest.mark.parametrize(("failure", "reason", "action"), EXAMPLES.values(), ids=EXAMPLES)
def test_a_failure_has_its_verdict(failure: Failure, reason: str, action: str) -> None:
    verdict = classify(failure, "apikey")
    assert (verdict.reason, verdict.action) == (reason, action)


def test_every_row_is_reached_by_an_example() -> None:
    reached = {id(classify(failure)) for failure, _, _ in EXAMPLES.values()}
    reached |= {id(classify(failure, "oauth")) for failure, _, _ in SIGNED_IN.values()}
    assert [verdict.reason for _, verdict in TABLE if id(verdict) not in reached] == []


def test_every_cause_has_an_example() -> None:
    seen = {failure.cause for failure, _, _ in EXAMPLES.values()}
    assert set(get_args(Cause)) - seen == set()


CONTESTED = {
    "a deactivated account before a wrong key": (
        status(401, "This account is suspended"),
        "account_deactivated",
    ),
    "no money before a rate limit": (
        status(402, "You exceeded your current quota"),
        "credits_exhausted",
    ),
    "a quota before a rate limit": (
        status(429, "Rate limit: you exceeded your current quota"),
        "quota_exhausted",
    ),
    "an unknown model before a parameter": (
        status(400, "model gpt-9 is not supported"),
        "unknown_model",
    ),
    "too much context before a malformed request": (
        status(413, "request too large"),
        "context_overflow",
    ),
    "too much context before a parameter": (
        status(400, "unsupported value: exceeds the token limit"),
        "context_overflow",
    ),
}


@pytest.mark.parametrize(("failure", "reason"), CONTESTED.values(), ids=CONTESTED)
def test_the_first_row_that_matches_wins(failure: Failure, reason: str) -> None:
    matching = [verdict.reason for matches, verdict in TABLE if matches(failure, "apikey")]
    assert len(matching) > 1
    assert (classify(failure).reason, matching[0]) == (reason, reason)


def test_a_redirect_is_an_unexpected_status() -> None:
    assert classify(status(302)) is OTHERWISE


def test_what_nobody_foresaw_goes_on() -> None:
    assert classify(status(418)) is OTHERWISE


def test_rate_limits_and_client_errors_never_trip_a_breaker() -> None:
    for failure, reason, _ in EXAMPLES.values():
        if failure.cause == "status" and failure.status < 500:
            assert not classify(failure).trips_breaker, reason


def test_the_caller_is_told_the_failure_that_tells_most() -> None:
    order = ["unauthorized", "credits_exhausted", "server_error", "rate_limited", "invalid_request"]
    verdicts = {verdict.reason: verdict for _, verdict in TABLE}
    ranks = [informativeness(verdicts[reason]) for reason in order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
