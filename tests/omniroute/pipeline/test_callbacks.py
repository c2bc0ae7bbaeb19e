"""Where browsers may be sent back to, PKCE, and what sign-in servers say."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import InvalidRequest
from omniroute.pipeline.accounts.callback_page import code_page, error_page
from omniroute.pipeline.accounts.callbacks import Arrived, Callbacks, checked_redirect
from omniroute.upstream.oauth import Person, _refused, person_in
from omniroute.upstream.pkce import challenge_of, is_verifier, new_state, new_verifier

PUBLIC = "https://gateway.example"

ALLOWED = (
    f"{PUBLIC}/callback",
    "http://localhost:1/callback",
    "http://localhost:65535/auth/callback",
)
FORBIDDEN = (
    "",
    PUBLIC,
    f"{PUBLIC}/callback/",
    f"{PUBLIC}/callback?next=x",
    f"{PUBLIC}.evil/callback",
    f"{PUBLIC}@evil/callback",
    "https://GATEWAY.example/callback",
    "http://localhost/callback",
    "http://localhost:0/callback",
    "http://localhost:65536/callback",
    "http://localhost:80@evil/callback",
    "http://localhost:80/callback#x",
    "http://localhost:80/callback\n",
    "http://localhost:80/other",
    "https://localhost:80/callback",
    "http://127.0.0.1:80/callback",
    "http://localhost.evil:80/callback",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("uri", ALLOWED)
def test_redirects_that_are_allowed(uri: str) -> None:
    assert checked_redirect(uri, PUBLIC) == uri


@pytest.mark.parametrize("uri", FORBIDDEN)
def test_redirects_that_are_not(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_redirect(uri, PUBLIC)


@given(st.text(), st.text())
def test_nothing_around_an_allowed_address_is_allowed(before: str, after: str) -> None:
    for uri in ALLOWED:
        if before or after:
            changed = before + uri + after
            if changed not in ALLOWED:
                with pytest.raises(InvalidRequest):
                    checked_redirect(changed, PUBLIC)


@given(st.text())
def test_no_state_but_the_right_one_arrives(state: str) -> None:
    assert not Callbacks(PUBLIC, lambda: 0).arrive(state, Arrived(code="c"))


def test_the_example_of_rfc_7636() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_and_states_are_long_and_never_the_same() -> None:
    verifiers, states = {new_verifier() for _ in range(50)}, {new_state() for _ in range(50)}
    assert (len(verifiers), len(states)) == (50, 50)
    assert all(is_verifier(one) for one in verifiers)
    assert all(len(one) * 6 >= 128 for one in states)


@given(st.text())
def test_a_page_never_holds_markup_that_came_from_outside(text: str) -> None:
    bare = code_page("", "").count("<") + 2 * code_page("x", "").count("<")
    for page in (code_page(text, text), error_page(text, text)):
        assert page.count("<") <= bare
        assert page.count("<script") == 0


def _id_token(claims: Any) -> str:
    body = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"h.{body}.s"


PEOPLE: dict[str, tuple[str | None, Person]] = {
    "none": (None, Person()),
    "no token at all": ("abc", Person()),
    "no JSON": ("a.b.c", Person()),
    "no object": (_id_token([1]), Person()),
    "somebody": (
        _id_token({"email": " a@b.c ", "name": "Ada", "preferred_username": "ada"}),
        Person(email="a@b.c", name="Ada", username="ada"),
    ),
    "nothing of use": (_id_token({"email": 1, "name": ""}), Person()),
}


@pytest.mark.parametrize(("token", "expected"), PEOPLE.values(), ids=PEOPLE)
def test_whose_an_id_token_is(token: str | None, expected: Person) -> None:
    assert person_in(token) == expected


REFUSALS: dict[str, tuple[int, dict[str, Any], tuple[str, bool]]] = {
    "a grant that is gone": (400, {"error": "invalid_grant"}, ("invalid_grant", True)),
    "a token used twice": (400, {"error": "refresh_token_reused"}, ("refresh_token_reused", True)),
    "a client that is wrong": (401, {"error": "invalid_client"}, ("invalid_client", False)),
    "the same behind a broken server": (
        502,
        {"error": "invalid_grant"},
        ("invalid_grant", False),
    ),
    "an error in a success": (200, {"error": "slow_down"}, ("slow_down", False)),
    "nothing said": (503, {}, ("http_503", False)),
    "a success without a token": (200, {}, ("no_token", False)),
    "the API's own shape": (400, {"error": {"code": "bad", "message": "m"}}, ("bad", False)),
    "no code": (400, {"error": "x" * 100}, ("http_400", False)),
}


@pytest.mark.parametrize(("status", "told", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(status: int, told: dict[str, Any], expected: tuple[str, bool]) -> None:
    refused = _refused(status, told)
    assert (refused.error, refused.definite) == expected


def test_what_was_sent_is_not_quoted() -> None:
    told = {"error": "invalid_grant", "error_description": "token tok-1234 of /app/x.py is gone"}
    refused = _refused(400, told, ["tok-1234"])
    assert str(refused) == "invalid_grant: token [redacted] of <path> is gone"
