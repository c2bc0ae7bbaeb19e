"""A stream that breaks off, and one that is slow to start, as real SDKs see them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.omniroute_app.targets import TARGETS, every_target
from tests.support.processes import Gateway

ASKED = "one two three four"
BEFORE_THE_CUT = "one two "
"""What `cut-after-2` and its like say of it."""
ENDINGS = ["cut-after-2", "drop-after-2", "error-after-2"]


@contextmanager
def combo(http: httpx.Client, *models: str, **config: Any) -> Iterator[str]:
    """A combo that tries these models in turn, while it is needed; its name."""
    body = {"name": "in-turn", "models": models, "strategy": "priority", "config": config}
    made = http.post("/api/combos", json=body).raise_for_status().json()
    try:
        yield "in-turn"
    finally:
        http.delete(f"/api/combos/{made['id']}").raise_for_status()


@pytest.fixture
def http(crossroads: Gateway) -> Iterator[httpx.Client]:
    """Plain HTTP to the gateway."""
    with httpx.Client(base_url=crossroads.url) as made:
        yield made


def attempts(http: httpx.Client, request_id: str) -> list[dict[str, Any]]:
    """The attempts that sent something, by the trace of a request."""
    trace = http.get(f"/api/routes/{request_id}").raise_for_status().json()["trace"]
    found: list[dict[str, Any]] = trace["attempts"]
    return found


def next_to(target: str) -> str:
    """Another target, which speaks another dialect."""
    prefixes = list(TARGETS.values())
    return prefixes[(prefixes.index(target) + 1) % len(prefixes)]


def going_on(http: httpx.Client, request_id: str) -> None:
    """Checks that a second attempt went on where the first one broke off."""
    first, second = attempts(http, request_id)
    assert first["verdict"]
    assert second.get("verdict") is None
    assert second["continues_at"] == len(BEFORE_THE_CUT)


@pytest.fixture
def broken_off(
    http: httpx.Client, renewed: Callable[[str], str], target: str, ending: str
) -> Iterator[str]:
    """A combo whose first target breaks off, and whose second one, of another dialect, goes on."""
    models = renewed(f"{target}/{ending}"), renewed(f"{next_to(target)}/count-3")
    with combo(http, *models, midStreamFailover=True) as name:
        yield name


@every_target
@pytest.mark.parametrize("ending", ENDINGS)
def test_openai_sees_one_whole_message(
    crossroads: Gateway, http: httpx.Client, broken_off: str
) -> None:
    with (
        openai.OpenAI(base_url=f"{crossroads.url}/v1", api_key="unused", max_retries=0) as sdk,
    ):
        answer = sdk.chat.completions.create(
            model=broken_off, messages=[{"role": "user", "content": ASKED}], stream=True
        )
        request_id = answer.response.headers["x-request-id"]
        chunks = list(answer)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(one.delta.content or "" for one in choices) == f"{BEFORE_THE_CUT}1 2 3"
    assert [one.finish_reason for one in choices if one.finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    going_on(http, request_id)


@every_target
@pytest.mark.parametrize("ending", ENDINGS)
def test_anthropic_sees_one_whole_message(
    crossroads: Gateway, http: httpx.Client, broken_off: str
) -> None:
    with (
        anthropic.Anthropic(base_url=crossroads.url, api_key="unused", max_retries=0) as sdk,
        sdk.messages.stream(
            model=broken_off, max_tokens=50, messages=[{"role": "user", "content": ASKED}]
        ) as events,
    ):
        request_id = events.response.headers["x-request-id"]
        message = events.get_final_message()
    assert [block.text for block in message.content if block.type == "text"] == [
        f"{BEFORE_THE_CUT}1 2 3"
    ]
    assert message.stop_reason == "end_turn"
    going_on(http, request_id)


@every_target
def test_a_slow_start_is_overtaken(
    crossroads: Gateway, http: httpx.Client, renewed: Callable[[str], str], target: str
) -> None:
    models = [renewed(f"{target}/slow-start-60000"), renewed(f"{next_to(target)}/echo")]
    with (
        combo(http, *models, hedgeAfterMs=50) as name,
        openai.OpenAI(base_url=f"{crossroads.url}/v1", api_key="unused", max_retries=0) as sdk,
    ):
        answer = sdk.chat.completions.with_raw_response.create(
            model=name, messages=[{"role": "user", "content": ASKED}]
        )
    assert answer.parse().choices[0].message.content == ASKED
    verdicts = [one.get("verdict") for one in attempts(http, answer.headers["x-request-id"])]
    assert verdicts == ["hedged", None]
