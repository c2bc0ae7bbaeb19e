"""Background responses: made while nobody waits, by whichever process holds the lease."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import structlog

from omniroute.chat import Dialect
from omniroute.dialects import CODECS
from omniroute.engine import Engine
from omniroute.errors import OmniRouteError
from omniroute.operations.chats import responses
from omniroute.pipeline.exchange import ChatCall
from omniroute.storage.records.agents import ResponseRow

LEASE_MS = 60_000
RENEW_S = 20.0
LOOK_S = 30.0
"""How often a process looks for work that another has left behind."""

log = structlog.get_logger(__name__)


class BackgroundResponses:
    """Makes queued responses. A process that dies leaves a lease that runs out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._woken = asyncio.Event()
        self._making: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Something has been queued."""
        self._woken.set()

    def stop(self, response_id: str) -> None:
        """The response is not wanted any more."""
        task = self._making.get(response_id)
        if task is not None:
            task.cancel()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Work until the process stops; what is unfinished then is made after the next start."""
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            unfinished = dict(self._making)
            tasks = [looking, *unfinished.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            async with self._engine.database.work() as work:
                for response_id in unfinished:  # whoever comes next need not wait
                    await work.responses.renew(response_id, 0)

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._take()
            except Exception:
                log.exception("background_responses_unreadable")
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _take(self) -> None:
        now_ms = self._engine.now_ms()
        async with self._engine.database.reading() as work:
            waiting = await work.responses.unclaimed(now_ms)
        for response_id in waiting:
            async with self._engine.database.work() as work:
                mine = await work.responses.claim(response_id, now_ms, now_ms + LEASE_MS)
            if mine:
                self._making[response_id] = asyncio.create_task(self._make(response_id))

    async def _make(self, response_id: str) -> None:
        engine = self._engine
        keeping = asyncio.create_task(self._keep_lease(response_id))
        try:
            async with engine.database.reading() as work:
                row = await work.responses.get(response_id, engine.now_ms())
            if row is None:
                return
            made = await self._answer(row)
            async with engine.database.work() as work:
                await work.responses.finish(
                    response_id, made["status"], msgspec.json.encode(made).decode()
                )
        except Exception:  # the lease runs out, and the next look tries again
            log.exception("background_response_failed", response_id=response_id)
        finally:
            keeping.cancel()
            self._making.pop(response_id, None)

    async def _answer(self, row: ResponseRow) -> responses.Wire:
        engine = self._engine
        codec = CODECS[Dialect.OPENAI_RESPONSES]
        shown: responses.Wire = msgspec.json.decode(row.response)
        request: responses.Wire = msgspec.json.decode(row.request)
        plain = {name: value for name, value in request.items() if name != "background"}
        try:
            caller = engine.admission.owner(engine.snapshot, "http", row.owner)
            body = msgspec.json.encode(plain)
            question = await responses.asked(engine, caller, body, plain)
            call = ChatCall(
                request_id=engine.new_id(),
                caller=caller,
                request=codec.decode_request(question.body),
                client=codec,
                body=question.body,
            )
            answer = await engine.chat.complete(call)
        except OmniRouteError as error:
            failure = {"code": error.code or "server_error", "message": str(error)}
            return {**shown, "status": "failed", "error": failure}
        reply: responses.Wire = msgspec.json.decode(answer.body)
        return {**reply, "id": row.id, "background": True, "store": True}

    async def _keep_lease(self, response_id: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            until_ms = self._engine.now_ms() + LEASE_MS
            async with self._engine.database.work() as work:
                kept = await work.responses.renew(response_id, until_ms)
            if not kept:  # cancelled or deleted, perhaps through another process
                self.stop(response_id)
                return
