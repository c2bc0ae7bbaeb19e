"""The A2A door as the composition root sees it: routes to mount and a lifespan to enter."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio
from a2a.server.agent_execution import AgentExecutor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from omniroute.skills.skill import Skill
from omniroute.upstream.webhooks import Webhooks
from omniroute_a2a.binding import HttpJsonBinding
from omniroute_a2a.cards import BINDING_PATH, RPC_PATH, Cards, agent_card
from omniroute_a2a.deliveries import Deliveries
from omniroute_a2a.executor import SkillExecutor
from omniroute_a2a.handler import Handler
from omniroute_a2a.jsonrpc import Authenticate, JsonRpcDoor
from omniroute_a2a.push import PushConfigs
from omniroute_a2a.push_records import PushRecords
from omniroute_a2a.records import TaskRecords
from omniroute_a2a.rest import Helpers
from omniroute_a2a.signing import JWKS_PATH, CardSigner
from omniroute_a2a.sse import HEARTBEAT_S, EventStreams
from omniroute_a2a.tasks import DurableTasks

EngineT = TypeVar("EngineT")

DEFAULT_TTL_MINUTES = 5
SWEEP_EVERY_S = 60
ORPHANS_KEPT_MS = 60_000
"""How long a push configuration may wait for the task whose message brought it."""
GRACE_S = 35.0

PREFLIGHT_HEADERS = {
    "Allow": "POST, OPTIONS",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, A2A-Version, A2A-Extensions",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class A2ADoor:
    """What the composition root mounts and runs."""

    routes: list[BaseRoute]
    handler: Handler
    tasks: DurableTasks
    push: PushConfigs
    deliveries: Deliveries

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Fail what an earlier run left behind, sweep while running, end all tasks at the end."""
        await self.tasks.recover()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(sweep_forever, self.tasks, self.push)
                group.start_soon(self.deliveries.run)
                yield
                group.cancel_scope.cancel()
        finally:
            await self.handler.aclose()
            await self.tasks.abandon()


def unix_ms() -> int:
    """The time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def build(
    *,
    authenticate: Authenticate,
    authorize_operator: Authenticate,
    enabled: Callable[[], bool],
    key_required: Callable[[], bool],
    base_url: Callable[[], str],
    version: str,
    skills: Mapping[str, Skill[EngineT]],
    engine: EngineT,
    tasks: TaskRecords,
    push: PushRecords,
    webhooks: Webhooks,
    allow_private_webhooks: Callable[[], bool],
    signing_key: str,
    task_ttl_minutes: Callable[[], float] = lambda: DEFAULT_TTL_MINUTES,
    clock: Callable[[], int] = unix_ms,
    executor: AgentExecutor | None = None,
    binding_path: str = BINDING_PATH,
    heartbeat_s: float = HEARTBEAT_S,
    grace_s: float = GRACE_S,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> A2ADoor:
    """Put the door together.

    Args:
        authenticate: finds the caller of a protocol request, anonymous ones included, or raises
            `Unauthenticated`.
        authorize_operator: the same for `/api/a2a/*`, which shows the tasks of all owners.
        enabled: the setting `a2aEnabled`.
        key_required: whether `authenticate` turns anonymous callers away; the cards say so.
        base_url: where clients reach the gateway, for the cards.
        version: of the product.
        skills: by id; the cards list exactly these.
        engine: handed to every skill untouched.
        tasks: durable storage.
        push: durable storage of who is told of changes, and what.
        webhooks: the way to those.
        allow_private_webhooks: the setting `a2aAllowPrivateWebhooks`.
        signing_key: PEM text of the P-256 key that signs the card.
        task_ttl_minutes: the setting `a2aTaskTtlMinutes`.
        clock: Unix milliseconds.
        executor: takes the place of the skills, in conformance runs.
        binding_path: where the HTTP+JSON binding is mounted; empty for the root, where it takes
            whatever no other route does.
        grace_s: how long streams may need to finish when the server stops, whose own limit should
            not be shorter.
        sleep: seconds, between attempts to tell of changes.
    """
    skill_executor = SkillExecutor(skills, engine, clock)
    deliveries = Deliveries(push, webhooks, allow_private_webhooks, clock, sleep)
    configs = PushConfigs(push, clock, allow_private_webhooks)
    durable = DurableTasks(
        records=tasks,
        clock=clock,
        ttl_ms=lambda: int(task_ttl_minutes() * 60_000),
        interrupt=skill_executor.interrupt,
        announced=deliveries.wake,
    )
    cards = Cards(skills, version, base_url, key_required, CardSigner(signing_key), binding_path)
    handler = Handler(
        executor=executor or skill_executor,
        tasks=durable,
        push=configs,
        skills=skills,
        # Only its capabilities are read, and those do not depend on the settings.
        card=agent_card(tuple(skills.values()), version, "http://localhost", key_required=False),
        extended_card=cards.extended,
    )
    json_rpc = JsonRpcDoor(
        handler=handler,
        authenticate=authenticate,
        enabled=enabled,
        interrupt=skill_executor.interrupt,
        streams=EventStreams(grace_s, heartbeat_s),
    )
    binding = HttpJsonBinding(
        handler=handler, authenticate=authenticate, enabled=enabled, grace_s=grace_s
    )
    helpers = Helpers(
        handler=handler, push=push, cards=cards, enabled=enabled, authorize=authorize_operator
    )
    routes: list[BaseRoute] = [
        *card_routes(cards),
        Route(RPC_PATH, json_rpc.answer, methods=["POST"]),
        Route(RPC_PATH, preflight, methods=["OPTIONS"]),
        *helpers.routes(),
        Mount(binding_path, app=binding),
    ]
    return A2ADoor(routes, handler, durable, configs, deliveries)


def card_routes(cards: Cards) -> list[Route]:
    """Both cards at the root and, for clients that take `/a2a` for the base URL, below it."""
    return [
        Route(JWKS_PATH, cards.keys, methods=["GET"]),
        *(
            Route(f"{base}/.well-known/{name}", endpoint, methods=["GET"])
            for base in ("", RPC_PATH)
            for name, endpoint in (("agent-card.json", cards.current), ("agent.json", cards.legacy))
        ),
    ]


async def preflight(_request: Request) -> Response:
    """`OPTIONS /a2a`."""
    return Response(status_code=204, headers=PREFLIGHT_HEADERS)


async def sweep_forever(tasks: DurableTasks, push: PushConfigs) -> None:
    """Sweep once a minute. A sweep that fails is tried again a minute later."""
    while True:
        await anyio.sleep(SWEEP_EVERY_S)
        try:
            await tasks.sweep()
            await push.records.delete_orphans(tasks.clock() - ORPHANS_KEPT_MS)
        except Exception:
            log.exception("sweeping A2A tasks failed")
