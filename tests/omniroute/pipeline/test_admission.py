"""One admission for every door: which key is whose, and which keys no longer count."""

from typing import Any

import pytest
from tests.support.builders import snapshot

from omniroute.caller import ENV_KEY_ID, Caller
from omniroute.clock import from_iso
from omniroute.errors import Forbidden, Unauthenticated
from omniroute.pipeline.callers.admission import Admission, bearer
from omniroute.storage.records.configuration import ApiKey

NOW = "2027-01-15T08:00:00.000Z"


def key(name: str, **more: Any) -> ApiKey:
    return ApiKey(
        id=name, name=name, key_hash=f"#{name}", prefix="", suffix="", machine_id="", **more
    )


WORLD = snapshot(
    keys=[
        key("plain", scopes=("mcp",), allowed_models=("a/*",), allowed_connections=("c",)),
        key("manager", scopes=("manage",)),
        key("admin", scopes=("admin",)),
        key("all", scopes=("*",)),
        key("off", is_active=False),
        key("banned", is_banned=True),
        key("revoked", revoked_at="2026-01-01T00:00:00Z"),
        key("expired", expires_at="2027-01-15T07:59:59.999Z"),
        key("expiring", expires_at=NOW),
        key("expiring elsewhere", expires_at="2027-01-15T09:00:00+01:00"),
    ]
)


def admission(*, require_key: bool = False, env_key: str | None = "env") -> Admission:
    return Admission(
        hash_key=lambda text: f"#{text}",
        now_ms=lambda: from_iso(NOW),
        env_key=env_key,
        require_key=require_key,
    )


OPERATORS = {"manager": True, "admin": True, "all": True, "plain": False}


@pytest.mark.parametrize(("name", "is_operator"), OPERATORS.items(), ids=OPERATORS)
def test_some_scopes_make_an_operator(name: str, is_operator: bool) -> None:
    assert admission().caller(WORLD, "http", name).is_operator is is_operator


def test_a_caller_carries_what_its_key_says() -> None:
    assert admission().caller(WORLD, "mcp", "plain") == Caller(
        door="mcp",
        key_id="plain",
        key_name="plain",
        scopes=frozenset({"mcp"}),
        allowed_models=("a/*",),
        allowed_connections=("c",),
        credential="key",
    )


def test_the_key_from_the_environment_may_do_anything() -> None:
    assert admission().caller(WORLD, "a2a", "env") == Caller(
        door="a2a",
        key_id=ENV_KEY_ID,
        key_name="environment key",
        scopes=frozenset({"*"}),
        is_operator=True,
        credential="key",
    )


REFUSED = {
    "off": "This API key is switched off.",
    "banned": "This API key is banned.",
    "revoked": "This API key is revoked.",
    "expired": "This API key has expired.",
}


@pytest.mark.parametrize("require_key", [False, True])
@pytest.mark.parametrize(("name", "told"), REFUSED.items(), ids=REFUSED)
def test_a_spent_key_is_refused_even_where_none_is_needed(
    name: str, told: str, require_key: bool
) -> None:
    door = admission(require_key=require_key)
    for ask in (door.caller, door.keyed_caller):
        with pytest.raises(Forbidden) as refused:
            ask(WORLD, "http", name)
        assert str(refused.value) == told


@pytest.mark.parametrize("name", ["expiring", "expiring elsewhere"])
def test_a_key_counts_up_to_the_moment_it_expires(name: str) -> None:
    assert admission().caller(WORLD, "http", name).key_id == name


NOBODY = {"no key": None, "an empty key": "", "an unknown key": "nobody", "a hash": "#plain"}


@pytest.mark.parametrize("text", NOBODY.values(), ids=NOBODY)
def test_nobody_is_anonymous_or_refused(text: str | None) -> None:
    assert admission().caller(WORLD, "http", text) == Caller(door="http")
    with pytest.raises(Unauthenticated) as refused:
        admission(require_key=True).caller(WORLD, "http", text)
    assert refused.value.code == "AUTH_002"
    with pytest.raises(Unauthenticated):
        admission().keyed_caller(WORLD, "http", text)


def test_without_a_key_in_the_environment_none_is_valid() -> None:
    assert admission(env_key=None).caller(WORLD, "http", "env") == Caller(door="http")


HEADERS = {
    "a key": ("Bearer k", "k"),
    "any case": ("bEaReR k", "k"),
    "blanks around": ("Bearer   k ", "k"),
    "nothing": ("Bearer ", None),
    "no scheme": ("k", None),
    "another scheme": ("Basic k", None),
    "an empty header": ("", None),
}


@pytest.mark.parametrize(("header", "expected"), HEADERS.values(), ids=HEADERS)
def test_a_bearer_key_is_read(header: str, expected: str | None) -> None:
    assert bearer({"authorization": header}) == expected


def test_no_header_is_no_key() -> None:
    assert bearer({}) is None
