"""Sessions as a route (02 §12)."""

from litestar.handlers import HTTPRouteHandler

from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.routing import sessions


@get("/api/sessions", tags=["Sessions"], operation_id="list_sessions")
async def list_sessions(engine: TheEngine, operator: Operator) -> sessions.SessionList:
    """Sessions that were used within half an hour, and how many each key has."""
    return await sessions.list_sessions(engine, operator)


SESSIONS: tuple[HTTPRouteHandler, ...] = (list_sessions,)
"""Every route about sessions."""
