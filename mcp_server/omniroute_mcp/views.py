"""What operators read about the MCP door: status, tools, audit, statistics. 03 §6."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omniroute.caller import Caller
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError, StorageUnavailable, Unauthenticated
from omniroute.storage.records import ToolAuditStats
from omniroute_mcp.audit import stamp
from omniroute_mcp.heartbeat import FRESH_MS, age_ms, heartbeat_path, is_alive, read_heartbeat
from omniroute_mcp.tools import TOOLS

Authorize: TypeAlias = Callable[[Any], Awaitable[Caller]]

DAY_MS = 86_400_000
LIMIT = 50
MOST = 500
_SUCCESS = {"true": True, "1": True, "false": False, "0": False}


class Views:
    """The REST views. `authorize` raises for whoever may not see them."""

    def __init__(
        self, engine: Engine, data_dir: Path, authorize: Authorize, live: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self._authorize = authorize
        self._live = live

    def routes(self) -> list[Route]:
        """All views."""
        return [
            Route(f"/api/mcp/{name}", self._guarded(view), methods=["GET"])
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
            try:
                await self._authorize(request.scope)
            except OmniRouteError as error:
                status = 401 if isinstance(error, Unauthenticated) else 403
                return _json({"error": str(error)}, status)
            return _json(await view(request))

        return answer

    async def _status(self, _request: Request) -> dict[str, Any]:
        settings = self._engine.snapshot.settings
        now = self._engine.now_ms()
        path = heartbeat_path(self._data_dir)
        beat = read_heartbeat(path)
        shown: dict[str, Any] | None = None
        pulse = False
        if beat is not None:
            age, alive = age_ms(beat, now), is_alive(beat.pid)
            pulse = alive and age is not None and age <= FRESH_MS
            shown = {**msgspec.to_builtins(beat), "pidAlive": alive, "heartbeatAgeMs": age}
        transport = settings["mcpTransport"]
        online = pulse if transport == "stdio" else self._live()
        stats = await self._recent()
        return {
            "status": "online" if online else "offline",
            "online": online,
            "enabled": settings["mcpEnabled"],
            "transport": transport,
            "heartbeatPath": path.name,
            "heartbeat": shown,
            "httpTransport": {"online": self._live(), "transport": transport},
            "activity": {
                "totalCalls24h": stats.total_calls,
                "successRate": stats.success_rate,
                "avgDurationMs": stats.avg_duration_ms,
                "topTools": _top(stats),
                "lastCallAt": stats.last_call_at,
                "lastCallTool": stats.last_call_tool,
            },
        }

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
            for row in TOOLS.values()
        ]
        return {"total": len(tools), "mappedTotal": len(tools), "tools": tools}

    async def _audit(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        limit = min(MOST, max(1, _number(query.get("limit"), LIMIT)))
        offset = max(0, _number(query.get("offset"), 0))
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
    return int(text) if text is not None and text.lstrip("-").isdigit() else default


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
