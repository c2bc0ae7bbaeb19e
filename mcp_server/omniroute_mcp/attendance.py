"""How a tool call reaches its caller while it runs: on the caller's own request, or by a task."""

from dataclasses import dataclass

import mcp_types as types

from omniroute_mcp.callers import Context
from omniroute_mcp.confirmation import ASKED, Answer, answer_of, can_be_asked, confirm, elicitation
from omniroute_mcp.tasks.running import Tasks
from omniroute_mcp.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Attended:
    """A call whose caller waits for the answer."""

    context: Context
    params: types.CallToolRequestParams

    @property
    def is_heard(self) -> bool:
        """Whether anybody takes notice of reports."""
        return "progress_token" in (self.context.meta or {})

    def begin(self) -> None:
        """What is answered at once has been; the tool runs from here on."""

    async def report(self, progress: float, message: str) -> None:
        """Tell how far the tool is."""
        await self.context.session.report_progress(progress, None, message)

    async def confirm(self, question: str, state: str) -> Answer | types.InputRequiredResult:
        """Ask whoever sits at the client, in the middle of the call."""
        return await confirm(self.context, self.params, question, state)


@dataclass(frozen=True, slots=True)
class Unattended(Attended):
    """A call that goes on as a task once its caller has waited long enough."""

    tasks: Tasks
    task: Task

    @property
    def is_heard(self) -> bool:
        return True

    def begin(self) -> None:
        self.task.begin()

    async def report(self, progress: float, message: str) -> None:
        if self.task.is_kept:
            self.task.message = message
        else:
            await self.context.session.report_progress(progress, None, message)

    async def confirm(self, question: str, _state: str) -> Answer | types.InputRequiredResult:
        if not can_be_asked(self.context):
            return Answer.CANNOT_ASK
        told = await self.tasks.ask(self.task, {ASKED: elicitation(question)})
        return answer_of(told[ASKED])
