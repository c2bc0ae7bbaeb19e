"""One tool call that goes on without its caller: its states, its questions, and how it ends."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from omniroute_mcp.tasks.wire import CREATED, Status

TTL_MS = 3_600_000
"""How long a task lives, whatever becomes of it."""
POLL_MS = 1_000
ENDED: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})

Result: TypeAlias = types.CallToolResult | types.InputRequiredResult

_ANSWERS: Mapping[str, type[types.InputResponse]] = {
    "elicitation/create": types.ElicitResult,
    "sampling/createMessage": types.CreateMessageResult,
    "roots/list": types.ListRootsResult,
}


class Task:
    """A call under way. Whoever works on it asks and reports; whoever it is for looks and answers.

    `is_kept` says that the caller has been handed the task: until then the caller waits.
    `moved` happens at the next change of what `told` says, but for the message.
    """

    def __init__(self, id: str, owner: str, now_ms: int) -> None:  # noqa: A002
        self.id = id
        self.owner = owner
        self.created_at_ms = self.updated_at_ms = now_ms
        self.status: Status = "working"
        self.message: str | None = None
        self.result: Result | None = None
        self.error: types.ErrorData | None = None
        self.questions: dict[str, types.InputRequest] = {}
        self.is_kept = False
        self.is_unwanted = False
        self.begun = anyio.Event()
        self.stopped = anyio.Event()
        """It has ended, or has something to ask."""
        self.moved = anyio.Event()
        self.scope = anyio.CancelScope()
        self.writing = anyio.Lock()
        self._answers: dict[str, types.InputResponse] = {}
        self._rounds = 0

    @property
    def has_ended(self) -> bool:
        """Whether the state is one that stays."""
        return self.status in ENDED

    @property
    def expires_at_ms(self) -> int:
        """When it may be forgotten."""
        return self.created_at_ms + TTL_MS

    def begin(self) -> None:
        """Everything that is answered at once has been: from here on the caller need not wait."""
        self.begun.set()

    def cancel(self) -> None:
        """Stop it, unless it has ended."""
        if not self.has_ended:
            self.is_unwanted = True
            self.scope.cancel()

    def ask(self, questions: Mapping[str, types.InputRequest], now_ms: int) -> "list[str]":
        """Put questions to whoever called; the names they have on the wire, in their order."""
        self._rounds += 1
        names = [f"{name}-{self._rounds}" for name in questions]  # never the same name twice
        self.questions = dict(zip(names, questions.values(), strict=True))
        self.move("input_required", now_ms)
        return names

    async def answers(self, names: "list[str]") -> list[types.InputResponse]:
        """Wait until all of these questions have been answered."""
        while self.questions:
            await self.moved.wait()
        return [self._answers.pop(name) for name in names]

    def answer(self, given: Mapping[str, Any], now_ms: int) -> None:
        """Take answers to open questions; others are left aside.

        Raises:
            MCPError: an answer does not fit its question; none is taken.
        """
        fitting: dict[str, types.InputResponse] = {}
        for name in self.questions.keys() & given.keys():
            model = _ANSWERS[self.questions[name].method]
            try:
                fitting[name] = model.model_validate(given[name], by_name=False)
            except ValidationError as error:
                text = f"inputResponses.{name} is no answer to {self.questions[name].method}"
                raise MCPError(code=types.INVALID_PARAMS, message=text) from error
        if fitting:
            self._answers |= fitting
            self.questions = {
                name: asked for name, asked in self.questions.items() if name not in fitting
            }
            self.move("input_required" if self.questions else "working", now_ms)

    def complete(self, result: Result, now_ms: int) -> None:
        """It has a result, which may tell of an error of the tool's."""
        self.result = result
        self.move("completed", now_ms)

    def fail(self, error: types.ErrorData, now_ms: int) -> None:
        """It ends in an error of the protocol's."""
        self.error, self.message = error, error.message
        self.move("failed", now_ms)

    def move(self, status: Status, now_ms: int) -> None:
        """Change the state; one that stays is not changed."""
        if self.has_ended:
            return
        self.status, self.updated_at_ms = status, now_ms
        if status in ENDED:
            self.questions = {}
            self.begun.set()
        if status != "working":
            self.begun.set()
            self.stopped.set()
        self.moved.set()
        self.moved = anyio.Event()

    def outcome(self) -> Result:
        """What a caller that has waited gets.

        Raises:
            MCPError: it ended in an error.
        """
        if self.result is not None:
            return self.result
        raise MCPError.from_error_data(self.error or stopped_error("it was cancelled"))

    def created(self) -> dict[str, Any]:
        """The answer that hands the task over."""
        return {"resultType": CREATED, **self._state()}

    def told(self) -> dict[str, Any]:
        """The task as it stands, with what belongs to its state."""
        state = self._state()
        if self.status == "input_required":
            state["inputRequests"] = {n: _plain(asked) for n, asked in self.questions.items()}
        elif self.result is not None:
            state["result"] = _plain(self.result)
        elif self.error is not None:
            state["error"] = _plain(self.error)
        return state

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _stamp(self.created_at_ms),
            "lastUpdatedAt": _stamp(self.updated_at_ms),
            "ttlMs": TTL_MS,
            "pollIntervalMs": POLL_MS,
        }
        if self.message is not None:
            state["statusMessage"] = self.message
        return state


def stopped_error(why: str) -> types.ErrorData:
    """The error of a call that was not brought to its end."""
    return types.ErrorData(
        code=types.INTERNAL_ERROR, message=f"The call was not finished: {why}. Call the tool again."
    )


def _plain(model: Any) -> dict[str, Any]:
    plain: dict[str, Any] = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return plain


def _stamp(ms: int) -> str:
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
