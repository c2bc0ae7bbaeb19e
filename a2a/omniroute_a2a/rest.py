"""The REST helpers of the dashboard: state of the agent, and its tasks whoever owns them (§4.7)."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias

from a2a.server.context import ServerCallContext
from a2a.types import CancelTaskRequest
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omniroute.storage.records.agents import TaskRow
from omniroute_a2a.caller import OwnerUser
from omniroute_a2a.cards import Cards, current_card
from omniroute_a2a.envelope import failure_headers
from omniroute_a2a.errors import fault_of
from omniroute_a2a.handler import Handler
from omniroute_a2a.jsonrpc import Authenticate
from omniroute_a2a.push_records import PushRecords
from omniroute_a2a.record import delivery_record, iso, task_record
from omniroute_a2a.states import CANCELLED, SEED_STATES

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Helpers:
    """The helper endpoints.

    Args:
        authorize: lets those pass who may read the dashboard; raises for everybody else.
    """

    def __init__(
        self,
        *,
        handler: Handler,
        push: PushRecords,
        cards: Cards,
        enabled: Callable[[], bool],
        authorize: Authenticate,
    ) -> None:
        self._handler = handler
        self._tasks = handler.tasks
        self._push = push
        self._cards = cards
        self._enabled = enabled
        self._authorize = authorize

    def routes(self) -> list[Route]:
        """The routes, each behind `authorize`."""
        return [
            Route(path, self._guarded(endpoint), methods=[method])
            for method, path, endpoint in (
                ("GET", "/api/a2a/status", self.status),
                ("GET", "/api/a2a/tasks", self.list_tasks),
                ("GET", "/api/a2a/tasks/{id}", self.get_task),
                ("POST", "/api/a2a/tasks/{id}/cancel", self.cancel_task),
            )
        ]

    async def status(self, _request: Request) -> Response:
        """Whether A2A is on, how many tasks there are, and what the card says."""
        enabled = self._enabled()
        counts = await self._tasks.records.counts()
        newest, _ = await self._tasks.records.list(limit=1)
        card = current_card(self._cards.card()) if enabled else {}
        shown = ("name", "description", "version", "url")
        return JSONResponse(
            {
                "status": "ok" if enabled else "disabled",
                "online": enabled,
                "enabled": enabled,
                "tasks": {
                    "counts": {state: counts.get(state, 0) for state in SEED_STATES},
                    "total": sum(counts.values()),
                    "activeStreams": self._handler.active_streams,
                    "lastTaskAt": iso(newest[0].updated_at_ms) if newest else None,
                },
                "agent": {member: card[member] for member in shown} if enabled else None,
                "capabilities": card.get("capabilities"),
                "skills": card.get("skills", []),
            }
        )

    async def list_tasks(self, request: Request) -> Response:
        """A page of task records, the latest change first."""
        query = request.query_params
        limit = min(max(number(query.get("limit"), DEFAULT_LIMIT), 1), MAX_LIMIT)
        offset = max(number(query.get("offset"), 0), 0)
        state = query.get("state")
        rows, total = await self._tasks.records.list(
            state=state if state in SEED_STATES else None,
            skill=query.get("skill") or None,
            limit=limit,
            offset=offset,
        )
        tasks = [await self._record(row) for row in rows]
        return JSONResponse({"tasks": tasks, "total": total, "limit": limit, "offset": offset})

    async def get_task(self, request: Request) -> Response:
        """One task record, with what became of the messages to its receivers."""
        row = await self._tasks.row(request.path_params["id"])
        if row is None:
            return JSONResponse({"error": "Task not found"}, 404)
        told = await self._push.history(row.id)
        shown = {"notifications": [delivery_record(one) for one in told]} if told else {}
        return JSONResponse({"task": {**await self._record(row), **shown}})

    async def cancel_task(self, request: Request) -> Response:
        """Cancel a task in the name of its owner."""
        task_id = request.path_params["id"]
        row = await self._tasks.row(task_id)
        if row is None:
            return JSONResponse({"error": "Task not found"}, 404)
        context = ServerCallContext(user=OwnerUser(row.owner))
        try:
            await self._handler.on_cancel_task(CancelTaskRequest(id=task_id), context)
        except TaskNotFoundError as error:
            return JSONResponse({"error": error.message}, 404)
        except TaskNotCancelableError as error:
            return JSONResponse({"error": error.message}, 400)
        return JSONResponse({"task": {"id": task_id, "state": CANCELLED}})

    async def _record(self, row: TaskRow) -> dict[str, Any]:
        return task_record(row, self._tasks.task_of(row), await self._tasks.records.events(row.id))

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guarded(request: Request) -> Response:
            try:
                await self._authorize(request.scope)
                return await endpoint(request)
            except Exception as error:  # noqa: BLE001 - fault_of logs what it does not know
                fault = fault_of(error)
                status = 500 if fault.status == 200 else fault.status
                return JSONResponse({"error": fault.message}, status, failure_headers(status))

        return guarded


def number(text: str | None, default: int) -> int:
    """A whole number of a query, the default when it is none."""
    try:
        return default if text is None else int(text)
    except ValueError:
        return default
