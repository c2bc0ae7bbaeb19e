"""OpenTelemetry traces of requests, with the conventions for generative AI; off unless asked for.

Spans are made when a request is over, from its own trace: while it runs, nothing is measured
twice, and where no collector is named nothing of this is even imported.
Source: OpenTelemetry's semantic conventions, "Generative AI".
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import structlog

from omniroute import __version__
from omniroute.errors import InvalidRequest
from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.trace import AttemptTrace, RouteTrace
from omniroute.upstream.send import OutboundRequest, Sender, TransportFailed

log = structlog.get_logger(__name__)

EXPORT_S = 10.0

PROVIDER_NAMES: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Providers whose names in the conventions are not ours."""


def wanted(environ: Mapping[str, str]) -> str | None:
    """Where traces are to be sent; None where nobody asked for them."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    url = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    if url:
        return url
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip().rstrip("/")
    return f"{base}/v1/traces" if base else None


class Traces:
    """Turns finished requests into spans and has them sent.

    Raises:
        InvalidRequest: the packages that does it with are not installed.
    """

    def __init__(self, url: str, environ: Mapping[str, str], gate: Sender) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise InvalidRequest(
                "Traces need two more packages: pip install 'omniroute[otel]'. To do without, "
                "unset OTEL_EXPORTER_OTLP_ENDPOINT."
            ) from error
        name = environ.get("OTEL_SERVICE_NAME") or "omniroute"
        resource = Resource.create({"service.name": name, "service.version": __version__})
        self._provider: TracerProvider = TracerProvider(resource=resource)
        loop = asyncio.get_running_loop()
        headers = _headers(environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        exporter = _exporter(url, headers, gate, loop)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("omniroute", __version__)

    def observe(self, call: ChatCall, trace: RouteTrace) -> None:
        """Make the spans of a finished request: its own, and one for each attempt."""
        from opentelemetry import trace as otel
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(dict(call.headers))
        began = trace.started_at_ms * 1_000_000
        span = self._tracer.start_span(
            f"chat {trace.requested_model}",
            context=parent,
            kind=otel.SpanKind.SERVER,
            attributes=request_attributes(trace),
            start_time=began,
        )
        inside = otel.set_span_in_context(span)
        for attempt in trace.attempts:
            child = self._tracer.start_span(
                f"chat {attempt.model}",
                context=inside,
                kind=otel.SpanKind.CLIENT,
                attributes=attempt_attributes(attempt),
                start_time=attempt.started_at_ms * 1_000_000,
            )
            if attempt.verdict is not None:
                child.set_status(otel.StatusCode.ERROR, attempt.error or attempt.verdict)
            child.end((attempt.started_at_ms + attempt.duration_ms) * 1_000_000)
        if trace.outcome not in ("completed", "stopped"):
            span.set_status(otel.StatusCode.ERROR, trace.error or trace.outcome)
        span.end(began + trace.duration_ms * 1_000_000)

    async def aclose(self) -> None:
        """Send what waits, and stop."""
        await asyncio.to_thread(self._provider.shutdown)


def request_attributes(trace: RouteTrace) -> dict[str, Any]:
    """What the span of a whole request says."""
    found = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": trace.requested_model,
        "gen_ai.response.model": trace.model,
        "gen_ai.provider.name": _provider(trace.provider) if trace.provider else None,
        "gen_ai.usage.input_tokens": trace.input_tokens,
        "gen_ai.usage.output_tokens": trace.output_tokens,
        "gen_ai.conversation.id": trace.session_id,
        "error.type": None if trace.outcome == "completed" else trace.outcome,
        "omniroute.request_id": trace.request_id,
        "omniroute.door": trace.door,
        "omniroute.outcome": trace.outcome,
        "omniroute.source": trace.source,
        "omniroute.combo": trace.plan.combo if trace.plan is not None else None,
        "omniroute.run_id": trace.run_id,
        "omniroute.api_key_id": trace.api_key_id,
        "omniroute.attempts": len(trace.attempts),
        "omniroute.cost_usd": None if trace.cost_micro_usd is None else trace.cost_micro_usd / 1e6,
    }
    return {name: value for name, value in found.items() if value is not None}


def attempt_attributes(attempt: AttemptTrace) -> dict[str, Any]:
    """What the span of one attempt says."""
    usage = attempt.usage
    found = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(attempt.provider),
        "gen_ai.request.model": attempt.model,
        "gen_ai.usage.input_tokens": usage.total_input_tokens if usage else None,
        "gen_ai.usage.output_tokens": usage.total_output_tokens if usage else None,
        "http.response.status_code": attempt.status or None,
        "error.type": attempt.verdict,
        "omniroute.attempt": attempt.number,
        "omniroute.connection_id": attempt.connection,
        "omniroute.time_to_first_content_ms": attempt.ttft_ms,
        "omniroute.reasons": list(attempt.reasons),
    }
    return {name: value for name, value in found.items() if value is not None}


def _provider(name: str) -> str:
    return PROVIDER_NAMES.get(name, name)


def _headers(text: str) -> dict[str, str]:
    """`name=value` pairs by comma, values URL-encoded, as OpenTelemetry has them."""
    pairs = (entry.partition("=") for entry in text.split(",") if "=" in entry)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _exporter(
    url: str, headers: Mapping[str, str], gate: Sender, loop: asyncio.AbstractEventLoop
) -> Any:
    """Sends spans through the outbound gate, like everything else that leaves."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Exporter(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            body = encode_spans(spans).SerializeToString()
            try:
                sent = asyncio.run_coroutine_threadsafe(_send(body), loop)
                return sent.result(EXPORT_S)
            except (TimeoutError, RuntimeError, OSError) as error:
                log.warning("traces_not_sent", error=type(error).__name__)
                return SpanExportResult.FAILURE

    async def _send(body: bytes) -> SpanExportResult:
        request = OutboundRequest(
            url=url,
            headers={"content-type": "application/x-protobuf", **headers},
            body=body,
            allow_private=True,
        )
        try:
            answer = await gate.send(request)
            await answer.read()
        except TransportFailed as error:
            log.warning("traces_not_sent", error=str(error))
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if answer.status < 300 else SpanExportResult.FAILURE

    return Exporter()
