"""What operators read about the MCP door: status, tools, audit, statistics. 03 §6."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
import structlog
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, StorageUnavailable, Unauthenticated
from omniroute.storage.records.agents import ToolAuditStats
from omniroute_mcp.audit import stamp
from omniroute_mcp.status import DoorStatus
from omniroute_mcp.tools.catalogue import Catalogue

Authorize: TypeAlias = Callable[[Any], Awaitable[Caller]]

DAY_MS = 86_400_000
LIMIT = 50
MOST = 500
LAST_OFFSET = 2**63 - 1
"""The greatest number a database takes."""

log = structlog.get_logger(__name__)

# All of them, as a path with the wrong method would fall through to the routes mounted after it.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SUCCESS = {"true": True, "1": True, "false": False, "0": False}


class Views:
    """The REST views. `authorize` raises for whoever may not see them."""

    def __init__(
        self,
        engine: Engine,
        authorize: Authorize,
        status: DoorStatus,
        security: TransportSecuritySettings,
    ) -> None:
        self._engine = engine
        self._authorize = authorize
        self._door = status
        self._catalogue = Catalogue(engine)
        self._security = TransportSecurityMiddleware(security)

    def routes(self) -> list[Route]:
        """All views."""
        return [
            Route(f"/api/mcp/{name}", self._guarded(view), methods=_METHODS)
            for name, view in (
                ("status", self._status),
                ("tools", self._tools),
                ("audit", self._audit),
                ("audit/stats", self._stats),
            )
        ]

    def _guarded(
        self, view: Callable[[Request], Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method not in ("GET", "HEAD"):
                return _json({"error": "Use GET."}, 405, {"allow": "GET, HEAD"})
            foreign = await self._security.validate_request(request)
            if foreign is not None:
                return foreign
            try:
                await self._authorize(request.scope)
            except OmniRouteError as error:
                status = 401 if isinstance(error, Unauthenticated) else 403
                return _json({"error": str(error)}, status)
            try:
                return _json(await view(request))
            except Exception:
                log.exception("mcp_view_failed", path=request.url.path)
                return _json({"error": "The view could not be made; the log says why."}, 500)

        return answer

    async def _status(self, _request: Request) -> dict[str, Any]:
        stats = await self._recent()
        activity = {
            "totalCalls24h": stats.total_calls,
            "successRate": stats.success_rate,
            "avgDurationMs": stats.avg_duration_ms,
            "topTools": _top(stats),
            "lastCallAt": stats.last_call_at,
            "lastCallTool": stats.last_call_tool,
        }
        return {**self._door.shown(self._engine), "activity": activity}

    async def _tools(self, _request: Request) -> dict[str, Any]:
        tools = [
            {
                "name": row.name,
                "description": row.description,
                "scopes": sorted(row.scopes),
                "phase": row.phase,
                "auditLevel": row.audit,
                "sourceEndpoints": list(row.source_endpoints),
            }
            for row in self._catalogue().values()
        ]
        return {"total": len(tools), "mappedTotal": len(tools), "tools": tools}

    async def _audit(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        limit = min(MOST, max(1, _number(query.get("limit"), LIMIT)))
        offset = min(LAST_OFFSET, max(0, _number(query.get("offset"), 0)))
        success = _SUCCESS.get(query.get("success", ""))
        try:
            async with self._engine.database.reading() as work:
                rows, total = await work.audit.page(
                    limit, offset, query.get("tool"), success, query.get("apiKeyId")
                )
        except StorageUnavailable:
            rows, total = (), 0
        entries = [
            {
                "id": row.id,
                "toolName": row.tool_name,
                "inputHash": row.input_hash,
                "outputSummary": row.output_summary,
                "durationMs": row.duration_ms,
                "apiKeyId": row.api_key_id,
                "success": row.success,
                "errorCode": row.error_code,
                "createdAt": row.created_at,
            }
            for row in rows
        ]
        return {"entries": entries, "total": total, "limit": limit, "offset": offset}

    async def _stats(self, _request: Request) -> dict[str, Any]:
        stats = await self._recent()
        return {
            "totalCalls": stats.total_calls,
            "successRate": stats.success_rate,
            "avgDurationMs": stats.avg_duration_ms,
            "topTools": _top(stats),
        }

    async def _recent(self) -> ToolAuditStats:
        since = stamp(self._engine.now_ms() - DAY_MS)
        try:
            async with self._engine.database.reading() as work:
                return await work.audit.stats(since)
        except StorageUnavailable:
            return ToolAuditStats()


def _top(stats: ToolAuditStats) -> list[dict[str, Any]]:
    return [{"tool": tool, "count": count} for tool, count in stats.top_tools]


def _number(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        return default


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
