"""What Prometheus reads."""

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.usage import metrics


@get("/metrics", tags=["Health"], operation_id="metrics", media_type="text/plain")
async def get_metrics(engine: TheEngine, operator: Operator) -> Response[bytes]:
    """Counters and gauges in Prometheus' text format. A key with the scope `metrics` will do."""
    return Response(await metrics.metrics(engine, operator), media_type=CONTENT_TYPE_LATEST)


METRICS: tuple[HTTPRouteHandler, ...] = (get_metrics,)
"""The one route of metrics."""
