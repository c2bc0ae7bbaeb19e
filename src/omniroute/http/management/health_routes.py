"""How the gateway is, as routes (02 §12)."""

from litestar.handlers import HTTPRouteHandler

from omniroute.http.dependencies import TheEngine, Viewer
from omniroute.http.management.health_page import HealthPage, health_page
from omniroute.http.problems import get
from omniroute.operations.system import health


@get("/api/monitoring/health", tags=["Health"], operation_id="get_health")
async def monitoring_health(engine: TheEngine, viewer: Viewer) -> HealthPage:
    """Vital signs of the gateway; only operators see whose accounts and sessions are meant."""
    return health_page(await health.get_health(engine, viewer))


@get("/health", tags=["Health"], operation_id="liveness")
async def liveness() -> dict[str, str]:
    """Answers as long as the process serves requests."""
    return {"status": "ok"}


HEALTH: tuple[HTTPRouteHandler, ...] = (monitoring_health, liveness)
"""Every route about the gateway's own health."""
