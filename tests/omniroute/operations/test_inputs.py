"""Data from outside: the field at fault is named by its path, and secrets stay hidden."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import ValidationFailed
from omniroute.operations.access.key_inputs import KeyInput
from omniroute.operations.access.keys import create_key, get_key
from omniroute.operations.access.masking import HIDDEN_OPTIONS, masked, without_secrets
from omniroute.operations.accounts.nodes import NodeInput, create_node
from omniroute.operations.chats.chat import PlainMessage, RouteRequest, chat_call
from omniroute.operations.inputs import convert_input, decode_input


class Inner(Struct, rename="camel"):
    the_number: Annotated[int, Meta(ge=1)]


class Outer(Struct, rename="camel"):
    name: str
    kind: Literal["a", "b"] = "a"
    rows: list[Inner] = []
    inner: Inner | None = None
    by_name: dict[str, list[Literal["hot", "cold"]]] = {}


BROKEN: dict[str, tuple[Any, tuple[str, str]]] = {
    "a field is missing": ({}, ("name", "is required")),
    "a field of another type": ({"name": 1}, ("name", "Expected 'str', got 'int'")),
    "not one of the choices": (
        {"name": "n", "kind": "c"},
        ("kind", "must be one of: 'a', 'b'"),
    ),
    "almost one of them, further in": (
        {"name": "n", "byName": {"x": ["hot", "colt"]}},
        ("byName.1", "must be one of: 'cold', 'hot'. Did you mean 'cold'?"),
    ),
    "inside a list": (
        {"name": "n", "rows": [{"theNumber": 1}, {"theNumber": 0}]},
        ("rows.1.theNumber", "Expected 'int' >= 1"),
    ),
    "missing inside a list": ({"name": "n", "rows": [{}]}, ("rows.0.theNumber", "is required")),
    "inside an object": (
        {"name": "n", "inner": {"theNumber": "x"}},
        ("inner.theNumber", "Expected 'int', got 'str'"),
    ),
    "not an object": ([], ("", "Expected 'object', got 'array'")),
}


@pytest.mark.parametrize(("value", "problem"), BROKEN.values(), ids=BROKEN)
def test_the_broken_field_is_named(value: Any, problem: tuple[str, str]) -> None:
    with pytest.raises(ValidationFailed) as failed:
        convert_input(Outer, value)
    assert failed.value.problems == (problem,)
    with pytest.raises(ValidationFailed) as failed:
        decode_input(Outer, msgspec.json.encode(value))
    assert failed.value.problems == (problem,)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"name": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_the_bodys_fault(body: bytes) -> None:
    with pytest.raises(ValidationFailed) as failed:
        decode_input(Outer, body)
    assert failed.value.problems == (("body", "is not valid JSON"),)


def test_unknown_keys_are_dropped() -> None:
    assert convert_input(Outer, {"name": "n", "more": 1}) == Outer("n")


MASKED = {
    "a key": ("sk-0123456789abcdef", "sk-01234****cdef"),
    "one that is just long enough": ("x" * 17, "xxxxxxxx****xxxx"),
    "one that would be mostly shown": ("x" * 16, "****"),
    "nothing": ("", "****"),
}


@pytest.mark.parametrize(("secret", "shown"), MASKED.values(), ids=MASKED)
def test_secrets_are_masked(secret: str, shown: str) -> None:
    assert masked(secret) == shown


def test_secret_options_are_left_out() -> None:
    options = {**dict.fromkeys(HIDDEN_OPTIONS, "secret"), "baseUrl": "http://x"}
    assert without_secrets(options) == {"baseUrl": "http://x"}


OPERATOR = Caller(door="http", is_operator=True)
DATES = ["soon", "2027-13-01", "1", ""]


@pytest.mark.anyio
@pytest.mark.parametrize("text", DATES)
async def test_a_key_cannot_expire_on_no_day(engine: Engine, text: str) -> None:
    with pytest.raises(ValidationFailed) as failed:
        await create_key(engine, OPERATOR, KeyInput(name="k", expires_at=text))
    assert failed.value.problems == (("expiresAt", "must be an ISO-8601 date"),)


@pytest.mark.anyio
async def test_a_key_that_expires_is_kept_as_it_was_written(engine: Engine) -> None:
    made = await create_key(
        engine, OPERATOR, KeyInput(name=" k ", expires_at="2099-01-01", scopes=("mcp", "mcp"))
    )
    shown = await get_key(engine, OPERATOR, made.id)
    assert (shown.name, shown.expires_at, shown.scopes) == ("k", "2099-01-01", ("mcp",))


@pytest.mark.anyio
async def test_names_must_not_be_blank(engine: Engine) -> None:
    blank = (("name", "must not be blank"),)
    with pytest.raises(ValidationFailed) as failed:
        await create_key(engine, OPERATOR, KeyInput(name="  "))
    assert failed.value.problems == blank
    with pytest.raises(ValidationFailed) as failed:
        await create_node(engine, OPERATOR, NodeInput(name=" ", prefix="p", api_type="chat"))
    assert failed.value.problems == blank


BUDGETS = [0, -1, 1e308, float("inf"), float("nan")]


@pytest.mark.anyio
@pytest.mark.parametrize("usd", BUDGETS)
async def test_a_budget_out_of_range_is_refused(engine: Engine, usd: float) -> None:
    query = RouteRequest(model="auto", messages=(PlainMessage("user", "hi"),), budget=usd)
    with pytest.raises(ValidationFailed) as failed:
        chat_call(engine, OPERATOR, query)
    assert failed.value.problems[0][0] == "budget"


@pytest.mark.anyio
async def test_an_agents_request_becomes_a_call(engine: Engine) -> None:
    query = RouteRequest(
        model="auto", combo="mine", messages=(PlainMessage("developer", "be brief"),), budget=0.5
    )
    call = chat_call(engine, OPERATOR, query)
    assert (call.request.model, call.max_cost_micro_usd) == ("mine", 500_000)
    assert [(one.role, one.text) for one in call.request.messages] == [("system", "be brief")]
    with pytest.raises(ValidationFailed) as failed:
        chat_call(engine, OPERATOR, RouteRequest(model="auto", messages=()))
    assert failed.value.problems == (("messages", "at least one message is needed"),)
