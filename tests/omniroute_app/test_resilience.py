"""A request survives its first target, and the trace says what happened."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.support.processes import Gateway

FIRST_TARGETS = {
    "500": ("oai/flaky-500", "server_error"),
    "429": ("oai/flaky-429-1", "rate_limited"),
    "connect refused": ("dead/echo", "unreachable"),
    "slow first byte": ("oai/slow-start-5000", "stream_timeout"),
    "ends before its first content": ("oai/cut-after-0", "stream_early_eof"),
    "malformed first frame": ("ant/malformed", "malformed_reply"),
    "error inside a 200 stream": ("ant/error-after-0", "server_error"),
}
CLIENTS = {
    "an OpenAI client": ("/v1/chat/completions", "[DONE]"),
    "an Anthropic client": ("/v1/messages", "message_stop"),
}
_names = itertools.count()


def combo(client: httpx.Client, *models: str) -> str:
    """A new combo over `models`; its name."""
    name = f"combo-{next(_names)}"
    client.post("/api/combos", json={"name": name, "models": list(models)}).raise_for_status()
    return name


def explained(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    """The stored trace of the request behind a response."""
    found: dict[str, Any] = (
        client.get(f"/api/routes/{response.headers['x-request-id']}").raise_for_status().json()
    )
    trace: dict[str, Any] = found["trace"]
    return trace


def ask(model: str, **more: Any) -> dict[str, Any]:
    """A small request."""
    messages = [{"role": "user", "content": "still here"}]
    return {"model": model, "max_tokens": 50, "messages": messages, **more}


@pytest.mark.parametrize(("path", "ending"), CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize(("first", "verdict"), FIRST_TARGETS.values(), ids=FIRST_TARGETS)
def test_a_stream_survives_its_first_target(
    client: httpx.Client,
    fresh: Callable[[str], str],
    first: str,
    verdict: str,
    path: str,
    ending: str,
) -> None:
    name = combo(client, fresh(first), "demo/echo")
    response = client.post(path, json=ask(name, stream=True))
    assert response.status_code == 200
    assert "still " in response.text
    assert ending in response.text
    trace = explained(client, response)
    verdicts = [attempt.get("verdict") for attempt in trace["attempts"]]
    assert verdict in verdicts
    assert verdicts[-1] is None
    assert (trace["outcome"], trace["provider"]) == ("completed", "demo")


WHOLE = {name: row for name, row in FIRST_TARGETS.items() if name in ("500", "429")}


@pytest.mark.parametrize(("first", "verdict"), WHOLE.values(), ids=WHOLE)
def test_a_whole_reply_survives_its_first_target(
    client: httpx.Client, fresh: Callable[[str], str], first: str, verdict: str
) -> None:
    name = combo(client, fresh(first), "demo/echo")
    response = client.post("/v1/chat/completions", json=ask(name))
    assert response.json()["choices"][0]["message"]["content"] == "still here"
    assert response.headers["x-omniroute-provider"] == "demo"
    assert verdict in [a.get("verdict") for a in explained(client, response)["attempts"]]


def test_a_malformed_request_goes_back_to_its_author_at_once(
    client: httpx.Client, fresh: Callable[[str], str]
) -> None:
    name = combo(client, fresh("oai/flaky-400"), "demo/echo")
    response = client.post("/v1/chat/completions", json=ask(name))
    assert response.status_code == 400
    assert [a["verdict"] for a in explained(client, response)["attempts"]] == ["invalid_request"]


def test_the_dry_run_names_the_target_of_the_real_run(client: httpx.Client) -> None:
    name = combo(client, "demo/count-3", "demo/echo")
    planned = client.post(
        "/api/routes/simulate", json={"model": name, "promptTokenEstimate": 10}
    ).json()
    response = client.post("/v1/chat/completions", json=ask(name))
    first = planned["simulatedPath"][0]
    assert (first["provider"], first["model"]) == (
        response.headers["x-omniroute-provider"],
        response.headers["x-omniroute-model"],
    )


def test_usage_is_in_the_ledger_after_a_stream(
    client: httpx.Client, fresh: Callable[[str], str]
) -> None:
    response = client.post("/v1/chat/completions", json=ask(fresh("oai/echo"), stream=True))
    trace = explained(client, response)
    assert (trace["input_tokens"], trace["output_tokens"], trace["usage_estimated"]) == (
        2,
        2,
        False,
    )
    frames = [line[6:] for line in response.text.splitlines() if line.startswith("data: {")]
    assert all(not json.loads(frame).get("usage") for frame in frames)


@pytest.mark.parametrize("ending", ["cut-after-2", "drop-after-2", "error-after-2"])
@pytest.mark.parametrize("prefix", ["oai", "ant"])
def test_a_broken_stream_is_an_error_in_both_sdks(
    gateway: Gateway,
    fresh: Callable[[str], str],
    prefix: str,
    ending: str,
) -> None:
    oai = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
    ant = anthropic.Anthropic(base_url=gateway.url, api_key="unused", max_retries=0)
    model = fresh(f"{prefix}/{ending}")
    with oai, pytest.raises(openai.APIError):
        list(
            oai.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "one two three four"}],
                stream=True,
            )
        )
    model = fresh(f"{prefix}/{ending}")
    with (
        ant,
        pytest.raises(anthropic.APIError),
        ant.messages.stream(
            model=model,
            max_tokens=50,
            messages=[{"role": "user", "content": "one two three four"}],
        ) as stream,
    ):
        list(stream.text_stream)
