"""Metrics, traces, timings and kept bodies, as whoever runs the gateway reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from tests.omniroute.conftest import chat_call
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite

from omniroute.chat import Usage
from omniroute.pipeline.metrics import MOST_MODELS, OTHER, Metrics
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.storage.tables import call_payloads

pytestmark = pytest.mark.anyio

SECRET = "sk-canary0123456789abcdef"


def said(model: str = "demo/echo", text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def values(text: str) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_count_what_requests_did(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        await client.post("/v1/chat/completions", json=said())
        await client.post("/v1/chat/completions", json=said(stream=True))
        await client.post("/v1/chat/completions", json=said("demo/flaky-500"))
        await client.post("/v1/chat/completions", json=said("nobody/nothing"))
        answer = await client.get("/metrics")
    found = values(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["omniroute_requests_total", "http", "completed", "upstream"] == 2
    assert found["omniroute_requests_total", "http", "failed", "upstream"] == 1
    assert found["omniroute_attempts_total", "demo", "ok"] == 2
    assert found["omniroute_attempts_total", "demo", "server_error"] >= 1
    assert found["omniroute_tokens_total", "output", "echo", "demo"] > 0
    assert found["omniroute_request_duration_seconds_count", "http"] >= 3
    assert found["omniroute_gateway_duration_seconds_count",] >= 3
    assert found["omniroute_reservations_open",] == 0
    assert found["omniroute_uptime_seconds",] > 0
    assert "nobody" not in answer.text


async def test_who_may_read_metrics(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        keys = {
            scope: (await here.post("/api/keys", json={"name": scope, "scopes": [scope]})).json()
            for scope in ("metrics", "mcp", "manage")
        }
        told = {
            (scope, path): (
                await there.get(path, headers={"authorization": f"Bearer {key['key']}"})
            ).status_code
            for scope, key in keys.items()
            for path in ("/metrics", "/api/combos")
        }
        nobody = await there.get("/metrics")
    assert told == {
        ("metrics", "/metrics"): 200,
        ("metrics", "/api/combos"): 403,
        ("mcp", "/metrics"): 403,
        ("mcp", "/api/combos"): 403,
        ("manage", "/metrics"): 200,
        ("manage", "/api/combos"): 200,
    }
    assert nobody.status_code == 401


def test_models_without_end_are_counted_together() -> None:
    metrics = Metrics()
    for number in range(MOST_MODELS + 5):
        attempt = AttemptTrace(
            number=1,
            provider="p",
            model=f"m-{number}",
            connection="c",
            connection_name="c",
            reasons=(),
            started_at_ms=0,
            duration_ms=1,
            usage=Usage(input_tokens=1),
        )
        metrics.observe(chat_call("p/m"), trace(attempts=(attempt,)))
    found = values(metrics.text().decode())
    assert found["omniroute_tokens_total", "input", OTHER, "p"] == 5
    assert found["omniroute_tokens_total", "input", "m-0", "p"] == 1


def trace(**more: Any) -> RouteTrace:
    base: dict[str, Any] = {
        "request_id": "r",
        "door": "http",
        "client_dialect": None,
        "stream": False,
        "api_key_id": None,
        "session_id": None,
        "run_id": None,
        "requested_model": "m",
        "plan": None,
        "attempts": (),
        "outcome": "completed",
        "status": 200,
        "error": None,
        "waited_ms": 0,
        "started_at_ms": 0,
        "duration_ms": 1,
    }
    return RouteTrace(**{**base, **more})


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_say_what_the_gateway_took(site: OpenSite, stream: bool) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        body = said("demo/slow-start-200", stream=stream)
        answer = await client.post("/v1/chat/completions", json=body)
    parts = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert set(parts) == {"gateway", "upstream"}
    assert float(parts["upstream"]) >= 190
    assert 0 < float(parts["gateway"]) < float(parts["upstream"])


class Collector:
    """What a collector of traces was sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resource: dict[str, str] = {}
        self.headers: list[dict[str, str]] = []


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, Collector]]:
    """A collector on loopback, and its address."""
    found = Collector()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value
            for line in head[1:]
            if ": " in line
            for name, value in [line.split(": ", 1)]
        }
        body = await reader.readexactly(int(headers["content-length"]))
        found.headers.append({":path": head[0].split()[1], **headers})
        sent = ExportTraceServiceRequest.FromString(body)
        for group in sent.resource_spans:
            found.resource = {one.key: one.value.string_value for one in group.resource.attributes}
            for scope in group.scope_spans:
                found.spans.extend(scope.spans)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", found


def attributes(span: Any) -> dict[str, Any]:
    found = {}
    for one in span.attributes:
        value = one.value
        kind = value.WhichOneof("value")
        found[one.key] = getattr(value, kind) if kind != "array_value" else None
    return found


async def test_requests_are_traced_where_a_collector_is_named(site: OpenSite) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    async with collecting() as (url, collector):
        async with (
            site(
                OTEL_EXPORTER_OTLP_ENDPOINT=url,
                OTEL_EXPORTER_OTLP_HEADERS="x-tenant=a%20b",
                OTEL_SERVICE_NAME="mine",
            ) as gateway,
            gateway.as_peer() as client,
        ):
            await client.post("/v1/chat/completions", json=said(), headers={"traceparent": parent})
            await client.post("/v1/chat/completions", json=said("demo/flaky-500"))
        # The last spans are sent when the gateway stops.
        roots = {span.name: span for span in collector.spans if span.kind == 2}
        children = [span for span in collector.spans if span.kind == 3]
    good, bad = roots["chat demo/echo"], roots["chat demo/flaky-500"]
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == ("a" * 32, "b" * 16)
    told = attributes(good)
    assert told["gen_ai.operation.name"] == "chat"
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("demo/echo", "echo")
    assert told["gen_ai.usage.output_tokens"] > 0
    assert (good.status.code, bad.status.code) == (0, 2)
    assert attributes(bad)["error.type"] == "failed"
    inside = [span for span in children if span.parent_span_id == good.span_id]
    assert [span.name for span in inside] == ["chat echo"]
    assert {attributes(span).get("error.type") for span in children} == {None, "server_error"}
    assert collector.resource["service.name"] == "mine"
    assert collector.headers[0][":path"] == "/v1/traces"
    assert collector.headers[0]["x-tenant"] == "a b"


async def test_a_collector_that_is_not_there_disturbs_nobody(site: OpenSite) -> None:
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}
    async with site(**environ) as gateway, gateway.as_peer() as client:
        answer = await client.post("/v1/chat/completions", json=said())
    assert answer.status_code == 200


async def detail(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = (
        await client.get(f"/api/usage/call-logs/{answer.headers['x-request-id']}")
    ).json()
    return found


async def test_bodies_are_kept_only_where_that_is_asked_for(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        off = await client.post("/v1/chat/completions", json=said())
        nothing = await detail(client, off)
        await client.patch("/api/settings", json={"callLogPayloads": {"mode": "errors"}})
        good = await detail(client, await client.post("/v1/chat/completions", json=said()))
        bad = await detail(
            client, await client.post("/v1/chat/completions", json=said("demo/flaky-500"))
        )
        await client.patch("/api/settings", json={"callLogPayloads": {"mode": "all"}})
        text = f"my key is {SECRET}"
        whole = await detail(
            client, await client.post("/v1/chat/completions", json=said(text=text))
        )
        streamed = await detail(
            client, await client.post("/v1/messages", json=said(stream=True, max_tokens=50))
        )
        key = (await client.post("/api/keys", json={"name": "quiet", "noLog": True})).json()["key"]
        await client.post(
            "/v1/chat/completions",
            json=said(text="unseen"),
            headers={"authorization": f"Bearer {key}"},
        )
        listed = (await client.get("/api/usage/call-logs")).json()
        async with gateway.engine.database.reading() as work:
            stored = await work.payloads.known([row["id"] for row in listed])
        wrong = await client.patch("/api/settings", json={"callLogPayloads": {"mode": "some"}})
    for row in (nothing, good):
        assert (row["detailState"], row["requestBody"], row["hasRequestBody"]) == (
            "none",
            None,
            False,
        )
    assert (bad["detailState"], bad["requestBody"]["model"]) == ("ready", "demo/flaky-500")
    assert whole["requestBody"]["messages"][0]["content"] == "my key is [redacted]"
    assert SECRET not in str(whole)
    assert whole["responseBody"]["choices"][0]["message"]["role"] == "assistant"
    assert streamed["responseBody"].startswith("event: message_start")
    assert "message_stop" in streamed["responseBody"]
    assert [row["detailState"] for row in listed].count("ready") == len(stored) == 3
    assert wrong.status_code == 400


async def test_long_bodies_are_cut_and_damaged_ones_said_to_be(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        await client.patch(
            "/api/settings", json={"callLogPayloads": {"mode": "all", "maxSizeKb": 1}}
        )
        answer = await client.post("/v1/chat/completions", json=said(text="x" * 4_000))
        cut = await detail(client, answer)
        async with gateway.engine.database.work() as work:
            await work.payloads._connection.execute(
                update(call_payloads).values(request=b"not compressed")
            )
        damaged = await detail(client, answer)
    assert (cut["bodiesCut"], len(cut["requestBody"])) == (True, 1_024)
    assert (damaged["detailState"], damaged["requestBody"]) == ("corrupt", None)
