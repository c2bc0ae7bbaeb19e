"""A door with scripted skills, in-memory tasks, and clients that reach it."""

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Scope

from omniroute.caller import Caller
from omniroute.errors import Conflict, Unauthenticated, UpstreamFailed
from omniroute.skills.skill import Emit, InputRequired, Skill, SkillReply, SkillRequest
from omniroute.storage.records.agents import PushConfig, TaskEvent, TaskRow
from omniroute.storage.records.runs import RunStep
from omniroute.storage.secrets import fresh_card_key
from omniroute_a2a.deliveries import RETRY_DELAYS_S
from omniroute_a2a.door import A2ADoor, build

CARD_KEY = fresh_card_key()
KEYS = {"key-a": "owner-a", "key-b": "owner-b"}


class MemoryRecords:
    """`TaskRecords` without a database."""

    def __init__(self) -> None:
        self.rows: dict[str, TaskRow] = {}
        self.log: list[TaskEvent] = []
        self.writes = 0

    async def save(
        self, row: TaskRow, step: RunStep, events: Sequence[TaskEvent], notice: Any, now_ms: int, /
    ) -> int:
        known = self.rows.get(row.id)
        if known is not None and known.finished and known.state != row.state:
            raise Conflict("The task has ended.")
        self.writes += 1
        self.rows[row.id] = row
        self.log += events
        return 0

    async def get(self, task_id: str, /) -> TaskRow | None:
        return self.rows.get(task_id)

    async def events(self, task_id: str, /) -> Sequence[TaskEvent]:
        return [event for event in self.log if event.task_id == task_id]

    async def counts(self) -> dict[str, int]:
        states = [row.state for row in self.rows.values()]
        return {state: states.count(state) for state in states}

    async def unfinished(self) -> Sequence[TaskRow]:
        return [row for row in self.rows.values() if not row.finished]

    async def overdue(self, now_ms: int, /) -> Sequence[TaskRow]:
        return [row for row in await self.unfinished() if row.expires_at_ms <= now_ms]

    async def delete_untouched(self, before_ms: int, /) -> int:
        old = [r.id for r in self.rows.values() if r.finished and r.updated_at_ms < before_ms]
        return sum([await self.delete(task_id) for task_id in old])

    async def delete(self, task_id: str, /) -> bool:
        return self.rows.pop(task_id, None) is not None

    async def list(
        self,
        *,
        owner: str | None = None,
        state: str | None = None,
        skill: str | None = None,
        context_id: str | None = None,
        since_ms: int | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[Sequence[TaskRow], int]:
        wanted = {"owner": owner, "state": state, "skill": skill, "context_id": context_id}
        rows = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row.updated_at_ms)
            if all(value in (None, getattr(row, name)) for name, value in wanted.items())
            and row.updated_at_ms >= (since_ms or 0)
        ]
        return rows[offset : offset + limit], len(rows)


class NoPush:
    """`PushRecords` in which there is never anything."""

    async def of_task(self, task_id: str, /) -> Sequence[PushConfig]:
        return ()

    history = of_task

    async def due(self, now_ms: int, limit: int, /) -> Sequence[PushConfig]:
        return ()

    async def next_due_ms(self) -> None:
        return None


class World:
    """Everything a test turns or looks at. `gate` lets a waiting skill go on."""

    def __init__(self, records: Any = None, push: Any = None, webhooks: Any = None) -> None:
        self.records = MemoryRecords() if records is None else records
        self.push = NoPush() if push is None else push
        self.webhooks: Any = webhooks
        self.allow_private = True
        self.now_ms = 1_700_000_000_000
        self.enabled = True
        self.key_required = False
        self.gate = anyio.Event()
        self.asked: list[SkillRequest] = []
        self.stopped: list[str] = []
        self.use(self.build())

    def use(self, door: A2ADoor) -> None:
        """Let clients reach this door from now on."""
        self.door = door
        self.app = Starlette(routes=door.routes)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://gateway.test"
        )

    def build(self, **changes: Any) -> A2ADoor:
        """A door over this world's records; a second one is a restarted gateway."""
        given: dict[str, Any] = {
            "authenticate": self.authenticate,
            "authorize_operator": self.authorize_operator,
            "enabled": lambda: self.enabled,
            "key_required": lambda: self.key_required,
            "base_url": lambda: "http://gateway.test",
            "version": "3.8.1",
            "skills": {
                "smart-routing": skill("smart-routing", self.scripted),
                "cost-analysis": skill("cost-analysis", never, time_limit_s=0),
            },
            "engine": self,
            "tasks": self.records,
            "push": self.push,
            "webhooks": self.webhooks,
            "allow_private_webhooks": lambda: self.allow_private,
            "clock": lambda: self.now_ms,
            "sleep": self.sleep,
            "signing_key": CARD_KEY,
        }
        return build(**{**given, **changes})

    async def sleep(self, seconds: float) -> None:
        """Pauses between attempts take no time; all others last until somebody is woken."""
        if seconds not in (0, *RETRY_DELAYS_S):
            await anyio.sleep_forever()
        self.now_ms += round(seconds * 1000)

    async def authenticate(self, scope: Scope) -> Caller:
        """Bearer tokens are keys of the table; no token is anonymous unless a key is required."""
        header = dict(scope["headers"]).get(b"authorization", b"").decode()
        key_id = KEYS.get(header.removeprefix("Bearer "))
        if key_id is None and (header or self.key_required):
            raise Unauthenticated("A valid key is required.")
        return Caller(door="a2a", key_id=key_id, allowed_models=("gpt",) if key_id else ())

    async def authorize_operator(self, scope: Scope) -> Caller:
        """Everybody who passes is an operator."""
        return msgspec.structs.replace(await self.authenticate(scope), is_operator=True)

    async def scripted(self, engine: "World", request: SkillRequest, emit: Emit) -> SkillReply:
        """Does what the last message says."""
        assert engine is self
        self.asked.append(request)
        match request.last_text:
            case "fail":
                raise UpstreamFailed("Every target failed.")
            case "crash":
                raise RuntimeError("secret")
            case "wait":
                await emit("first ")
                try:
                    await self.gate.wait()
                except BaseException:
                    self.stopped.append(request.task_id)
                    raise
                await emit("second")
                return SkillReply("first second", {"n": 2})
            case "ask":
                if (request.options.get("budget", 1) or 9) < 5:
                    raise InputRequired("How much?", facts={"spent": 1}, approves={"budget": None})
                return SkillReply(f"answered: {request.answer}", request.options)
            case "silent":
                return SkillReply("all at once")
            case text:
                for word in text.split(" "):
                    await emit(word)
                return SkillReply("".join(text.split(" ")), {"words": len(text.split(" "))})

    async def rpc(
        self, method: str, params: Any = None, *, key: str | None = None, **members: Any
    ) -> httpx.Response:
        """One JSON-RPC request."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **members}
        return await self.http.post("/a2a", json=body, headers=headers)

    async def result(self, method: str, params: Any = None, *, key: str | None = None) -> Any:
        """The result of a request that succeeds."""
        answer = (await self.rpc(method, params, key=key)).json()
        assert "result" in answer, answer
        return answer["result"]

    async def until_asked(self, times: int = 1) -> SkillRequest:
        """The latest request to a skill, once there are that many and its task is stored."""
        with anyio.fail_after(5):
            while len(self.asked) < times or not await self.is_working(self.asked[-1].task_id):
                await anyio.lowlevel.checkpoint()
        return self.asked[-1]

    async def is_working(self, task_id: str) -> bool:
        """Whether storage knows that the task has begun."""
        row = await self.records.get(task_id)
        return row is not None and row.state != "submitted"


def skill(
    id: str,  # noqa: A002
    run: Callable[[Any, SkillRequest, Emit], Awaitable[SkillReply]],
    time_limit_s: float = 30,
) -> Skill[Any]:
    """A row of the card."""
    return Skill(id, id.title(), f"About {id}.", ("a",), ("Do it.",), time_limit_s, run)


async def never(engine: object, request: SkillRequest, emit: Emit) -> SkillReply:
    """A skill that does not come back."""
    await anyio.sleep_forever()
    raise AssertionError


@asynccontextmanager
async def served(app: Starlette) -> AsyncGenerator[str]:
    """The app on a real socket; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    with listener:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            with anyio.fail_after(5):
                while not server.started:
                    await anyio.lowlevel.checkpoint()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    """A door in its lifespan."""
    made = World()
    async with made.door.lifespan(), made.http:
        yield made


@pytest.fixture
def serve(world: World) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Puts the world's door on a real socket."""
    return lambda: served(world.app)


@pytest.fixture
def make_world() -> Callable[..., AbstractAsyncContextManager[World]]:
    """Makes worlds over records of the test's own."""

    @asynccontextmanager
    async def made(
        records: Any = None, push: Any = None, webhooks: Any = None
    ) -> AsyncGenerator[World]:
        world = World(records, push, webhooks)
        async with world.door.lifespan(), world.http:
            yield world

    return made
